-- What foreign keys would do for tasks and their content, a statement at a time instead of a row at a time.
-- The keys are left out on purpose: checking them cost an import more than writing the rows did (tables.py).
-- Run by every migration: each statement may be run again.

CREATE OR REPLACE FUNCTION project_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM task USING gone WHERE task.project_id = gone.id;
    DELETE FROM cursor USING gone WHERE cursor.project_id = gone.id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION batch_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM task USING task_content c, gone WHERE c.batch_id = gone.id AND task.id = c.task_id;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION task_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM task_content c USING gone WHERE c.task_id = gone.id;
    RETURN NULL;
END $$;

-- Each row by the key of its task: a plan of the first rows, kept by the connection, read the whole table each time.
CREATE OR REPLACE FUNCTION task_content_made() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM made WHERE NOT EXISTS (SELECT FROM task WHERE task.id = made.task_id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'content of a task that is not there';
    END IF;
    RETURN NULL;
END $$;

-- Only once: to replace a trigger would lock its table against everybody who answers meanwhile.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'task_content'::regclass AND tgname = 'task_content_made')
    THEN
        RETURN;
    END IF;
    CREATE TRIGGER project_gone AFTER DELETE ON project
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION project_gone();
    CREATE TRIGGER batch_gone AFTER DELETE ON batch
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION batch_gone();
    CREATE TRIGGER task_gone AFTER DELETE ON task
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION task_gone();
    CREATE TRIGGER task_content_made AFTER INSERT ON task_content
        REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION task_content_made();
END $$;
