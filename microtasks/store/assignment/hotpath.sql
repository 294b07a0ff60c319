-- The hot path: hand out tasks, take answers. Called by hotpath.py; installed again by every `db upgrade`.
--
-- Why functions: one message does it all (each statement sent costs the web process as much as a bare Flask
-- reply), no lock waits for Python, and each statement inside sees what was committed before it began. A single
-- statement that locks and then reads would read what was true before it waited for the lock.
--
-- Lock order everywhere: cursor, task, lease. READ COMMITTED. Tasks are picked with SKIP LOCKED: never a wait.
--
-- Each rule stands once: answer_put stores an answer, hot_take takes one from a volunteer, consensus_put stores
-- a consensus, counted_answer says which answers count and whose are excluded, answers_version their version.

-- Positions: random ones from 0 on with the owner's priority in their high bits (store/imports/tasks.py); from
-- task_pos on the end of the order; below 0 the tasks that lack one answer only (see hot_again). Known tasks stand
-- in the order like all others, placed by hot_place_gold: nothing that is handed out tells them apart.
CREATE SEQUENCE IF NOT EXISTS task_pos START 4611686018427387904;  -- tables.END_OF_ORDER
CREATE SEQUENCE IF NOT EXISTS task_soon MINVALUE -4611686018427387904 START -4611686018427387904;

DROP FUNCTION IF EXISTS hot_lease;
DROP FUNCTION IF EXISTS hot_walk;
DROP FUNCTION IF EXISTS hot_needed;
DROP FUNCTION IF EXISTS hot_again;
DROP FUNCTION IF EXISTS hot_gold;
DROP FUNCTION IF EXISTS hot_place_gold;
DROP FUNCTION IF EXISTS hot_allowance;
DROP FUNCTION IF EXISTS hot_last;
DROP FUNCTION IF EXISTS hot_answer;
DROP FUNCTION IF EXISTS hot_take;
DROP FUNCTION IF EXISTS hot_stored;
DROP FUNCTION IF EXISTS hot_turn;
DROP FUNCTION IF EXISTS hot_submit;
DROP FUNCTION IF EXISTS hot_due;
DROP FUNCTION IF EXISTS hot_pending;
DROP FUNCTION IF EXISTS hot_settle;
DROP FUNCTION IF EXISTS hot_content;
DROP FUNCTION IF EXISTS hot_facts;
DROP FUNCTION IF EXISTS hot_write;
DROP FUNCTION IF EXISTS hot_is_hurried;
DROP FUNCTION IF EXISTS hot_has_room;
DROP FUNCTION IF EXISTS answer_put;
DROP FUNCTION IF EXISTS answers_version;
DROP FUNCTION IF EXISTS consensus_put;
DROP TYPE IF EXISTS consensus_row;
DROP VIEW IF EXISTS counted_answer;

-- The answers that count, and whether their contributor is excluded: those are not reduced.
CREATE VIEW counted_answer AS
    SELECT a.id, a.project_id, a.task_id, a.contributor_id, a.kind, a.value, a.seconds_spent, a.server_seconds,
           a.revision, r.is_excluded IS TRUE AS is_excluded
    FROM answer a
    LEFT JOIN contributor_record r ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id
    WHERE a.status = 'counted';

-- The version of a task's answers: it grows with every counted answer and every revision.
CREATE FUNCTION answers_version(in_task bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(sum(revision), 0) FROM answer WHERE task_id = in_task AND status = 'counted');
END $$;

-- Store an answer. seconds: the client's own; server_seconds: the most that the server's clock allows for.
CREATE FUNCTION answer_put(
    in_id bigint, in_project bigint, in_task bigint, in_who uuid, in_kind text, in_status text, in_value jsonb,
    in_seconds float8, in_server_seconds float8, in_config_version int, in_network bytea,
    in_revision int, in_created timestamptz, in_revised timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO answer (id, project_id, task_id, contributor_id, kind, status, value, seconds_spent,
                        server_seconds, config_version, network, revision, created_at, revised_at)
    VALUES (coalesce(in_id, nextval(pg_get_serial_sequence('answer', 'id'))), in_project, in_task, in_who, in_kind,
            in_status, in_value, in_seconds, in_server_seconds, in_config_version, in_network, in_revision,
            coalesce(in_created, now()), in_revised);
END $$;

-- What consensus_put stores: the columns of `consensus` that a reducer fills.
CREATE TYPE consensus_row AS (
    task_id bigint, value jsonb, agreement float8, confidence float8, n_answers int, is_tied boolean, detail jsonb,
    reducer text, parameters jsonb);

-- Store these in place of what was there. What is stored already is left as it is: a pass over a project that
-- has not changed writes nothing.
CREATE FUNCTION consensus_put(in_project bigint, in_method text, in_rows consensus_row[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO consensus (task_id, project_id, value, agreement, confidence, n_answers, is_tied, detail, method,
                           reducer, parameters)
    SELECT u.task_id, in_project, u.value, u.agreement, u.confidence, u.n_answers, u.is_tied, u.detail, in_method,
           u.reducer, u.parameters
    FROM unnest(in_rows) AS u LEFT JOIN consensus c ON c.task_id = u.task_id
    WHERE c.task_id IS NULL
       OR (c.value, c.agreement, c.confidence, c.n_answers, c.is_tied, c.detail, c.method, c.reducer, c.parameters)
          IS DISTINCT FROM
          (u.value, u.agreement, u.confidence, u.n_answers, u.is_tied, u.detail, in_method, u.reducer, u.parameters)
    ORDER BY u.task_id
    ON CONFLICT (task_id) DO UPDATE SET
        value = EXCLUDED.value, agreement = EXCLUDED.agreement, confidence = EXCLUDED.confidence,
        n_answers = EXCLUDED.n_answers, is_tied = EXCLUDED.is_tied, detail = EXCLUDED.detail,
        method = EXCLUDED.method, reducer = EXCLUDED.reducer, parameters = EXCLUDED.parameters, updated_at = now();
END $$;

-- May one more contributor of this network have a seat of this task? Of the fewest answers that may end it (in_ends;
-- NULL: its redundancy) less than half, at least one, so that one network never decides alone. in_most: how many
-- answers it may get in the end, where that is more than its redundancy of the moment; below 3 there is no such
-- defence. VOLATILE on purpose: it then counts by a fresh snapshot, also when a row that changed is checked again.
CREATE FUNCTION hot_has_room(in_task bigint, in_redundancy int, in_ends int, in_most int, in_network bytea)
RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN in_network IS NULL OR greatest(in_redundancy, in_most) < 3
        OR greatest(1, (least(in_redundancy, in_ends) - 1) / 2) >
        (SELECT count(*) FROM answer WHERE task_id = in_task AND network = in_network AND status <> 'surplus')
      + (SELECT count(*) FROM lease WHERE task_id = in_task AND network = in_network);
END $$;

-- How many more tasks a network may hold unanswered in a project, up to in_wanted for a contributor who holds
-- in_held: a fifth of the seats that are to be had (of the next thousand open tasks), or 30 if that is more, but
-- never more than half of them, so that nobody's network takes a project from the others. From half of that on
-- each contributor gets one at a time. Who waits here holds no lock that another in here waits for.
CREATE FUNCTION hot_allowance(in_project bigint, in_network bytea, in_head bigint, in_is_ending boolean, in_held int,
    in_wanted int) RETURNS int
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
    few CONSTANT int := 30;
    fewest CONSTANT int := 8;  -- a project that is not ending has seats for so many at least
    v_live int;
    v_seats int;
    v_most int;
BEGIN
    SELECT count(*) INTO v_live FROM lease
    WHERE project_id = in_project AND network = in_network AND expires_at > clock_timestamp();
    IF v_live + in_wanted <= fewest AND NOT in_is_ending THEN RETURN in_wanted; END IF;
    IF v_live + in_wanted > few / 2 THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('network ' || in_project || encode(in_network, 'hex'), 0));
        SELECT count(*) INTO v_live FROM lease
        WHERE project_id = in_project AND network = in_network AND expires_at > clock_timestamp();
    END IF;
    SELECT v_live + coalesce(sum(t.free), 0) INTO v_seats FROM (
        SELECT x.redundancy - x.n_answers - x.n_leases AS free FROM task x
        WHERE x.project_id = in_project AND x.open AND (x.pos > in_head OR x.pos < 0)
        ORDER BY x.pos LIMIT CASE WHEN v_live + in_wanted > few / 2 THEN 1000 ELSE 4 * few END) t;
    v_most := greatest(1, v_seats / 5, least(few, v_seats / 2));
    IF 2 * (v_live + in_wanted) > v_most THEN
        in_wanted := greatest(least(in_wanted, v_most / 2 - v_live), least(1 - in_held, v_most - v_live), 0);
    END IF;
    RETURN in_wanted;
END $$;

-- So few open tasks are handed out by need (project.is_ending); a third less where each may have a consensus.
CREATE FUNCTION hot_last(in_is_judged boolean) RETURNS int
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN in_is_judged THEN 16 ELSE 24 END $$;

-- Where a task goes that was full and has a free seat again, so that every cursor meets it: to the end of the order
-- that it stands in. Those below 0 were opened for one more answer where tasks stop when sure: they are served first.
CREATE FUNCTION hot_again(in_pos bigint) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN in_pos < 0 THEN nextval('task_soon') ELSE nextval('task_pos') END
$$;

-- Lock up to in_wanted open tasks in (in_after, in_upto], in order, that this contributor has not met.
-- Looks at no more than in_span tasks. reached: where it stopped; n_seen < in_span: nothing is left behind that.
CREATE FUNCTION hot_walk(
    in_project bigint, in_who uuid, in_network bytea, in_ends int, in_most int, in_after bigint, in_upto bigint,
    in_span int, in_wanted int, OUT picks bigint[], OUT reached bigint, OUT n_seen int)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    SELECT coalesce(array_agg(q.id ORDER BY q.pos), '{}'), max(q.pos), in_span INTO picks, reached, n_seen FROM (
        SELECT t.id, w.pos
        FROM (SELECT x.id, x.pos FROM task x
              WHERE x.project_id = in_project AND x.open AND x.pos > in_after AND x.pos <= in_upto
              ORDER BY x.pos LIMIT in_span) w
        JOIN task t ON t.id = w.id
        WHERE t.open
          AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.task_id = t.id AND a.contributor_id = in_who)
          AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.task_id = t.id AND l.contributor_id = in_who)
          AND NOT EXISTS (SELECT 1 FROM skip s WHERE s.task_id = t.id AND s.contributor_id = in_who)
          AND (in_network IS NULL OR hot_has_room(t.id, t.redundancy, in_ends, in_most, in_network))
        ORDER BY w.pos LIMIT in_wanted
        FOR NO KEY UPDATE OF t SKIP LOCKED) q;
    IF cardinality(picks) < in_wanted THEN
        SELECT max(w.pos), count(*) INTO reached, n_seen FROM (
            SELECT x.pos FROM task x
            WHERE x.project_id = in_project AND x.open AND x.pos > in_after AND x.pos <= in_upto
            ORDER BY x.pos LIMIT in_span) w;
    END IF;
END $$;

-- Lock up to in_wanted of the first in_span open tasks in (in_after, in_upto] that this contributor has not met, the
-- most needed first: the owner's priority, then fewest answers missing, then what people agree on least (with
-- in_is_judged; no consensus: nothing is agreed on), then at random. A task below 0 or at the end of the order was
-- full once: the walk had come to it, so it ranks with the first. reached: the last of them, n_seen: how many.
CREATE FUNCTION hot_needed(
    in_project bigint, in_who uuid, in_network bytea, in_ends int, in_most int, in_after bigint, in_upto bigint,
    in_span int, in_wanted int, in_is_judged boolean, OUT picks bigint[], OUT reached bigint, OUT n_seen int)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    held bigint[];
    next_id bigint;
    is_met boolean;
BEGIN
    picks := '{}';
    SELECT coalesce(array_agg(l.task_id), '{}') INTO held FROM lease l
    WHERE l.contributor_id = in_who AND l.project_id = in_project;
    FOR is_met, next_id, reached, n_seen IN
        SELECT x.id = ANY(held)
               OR EXISTS (SELECT 1 FROM answer a WHERE a.task_id = x.id AND a.contributor_id = in_who)
               OR EXISTS (SELECT 1 FROM skip s WHERE s.task_id = x.id AND s.contributor_id = in_who) AS is_met,
               x.id, x.reached, x.n_seen
        FROM (SELECT y.*, max(y.pos) OVER () AS reached, count(*) OVER () AS n_seen
              FROM (SELECT z.id, z.pos, z.redundancy - z.n_answers AS missing FROM task z
                    WHERE z.project_id = in_project AND z.open AND z.pos > in_after AND z.pos <= in_upto
                    ORDER BY z.pos LIMIT in_span) y) x
        LEFT JOIN consensus c ON in_is_judged AND c.task_id = x.id
        ORDER BY is_met,
                 CASE WHEN x.pos BETWEEN 0 AND 4611686018427387903 THEN x.pos >> 52 ELSE 0 END,
                 x.missing, coalesce(1 - coalesce(c.confidence, c.agreement), 1) DESC, random()
    LOOP
        EXIT WHEN is_met OR cardinality(picks) >= in_wanted;
        PERFORM 1 FROM task t WHERE t.id = next_id AND t.open
          AND (in_network IS NULL OR hot_has_room(t.id, t.redundancy, in_ends, in_most, in_network))
        FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN picks := picks || next_id; END IF;
    END LOOP;
    n_seen := coalesce(n_seen, 0);
END $$;

-- Place the known tasks that nobody has met among the next tasks of the order, as often as the project's share
-- says, at random: beyond every cursor, so that no walk shows that they were moved. Where there are more of them
-- than the share they stand as they are, spread over all.
CREATE FUNCTION hot_place_gold(in_project bigint) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_share float8;
    v_low bigint;
    v_high bigint;
    v_gold bigint[];
BEGIN
    SELECT p.gold_share, greatest(p.head_pos, (SELECT max(c.pos) FROM cursor c WHERE c.project_id = p.id))
    INTO v_share, v_low FROM project p WHERE p.id = in_project;
    SELECT coalesce(array_agg(t.id), '{}') INTO v_gold FROM (
        SELECT x.id FROM task_gold g JOIN task x ON x.id = g.task_id
        WHERE g.project_id = in_project AND x.open AND x.pos > v_low AND x.n_leases = 0
          AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.task_id = x.id)
          AND NOT EXISTS (SELECT 1 FROM skip s WHERE s.project_id = in_project AND s.task_id = x.id)
        ORDER BY x.id FOR NO KEY UPDATE OF x SKIP LOCKED) t;
    IF v_share > 0 THEN
        SELECT x.pos INTO v_high FROM task x
        WHERE x.project_id = in_project AND x.open AND x.pos > v_low AND x.id <> ALL(v_gold)
        ORDER BY x.pos OFFSET floor(cardinality(v_gold) * (1 - v_share) / v_share)::int LIMIT 1;
        UPDATE task SET pos = v_low + 1 + floor(random() * (v_high - v_low - 1))::bigint
        WHERE v_high IS NOT NULL AND id = ANY(v_gold);
    END IF;
    UPDATE task_gold SET draw = -1 WHERE project_id = in_project AND draw >= 0;
END $$;

-- Hand out tasks to one contributor until they hold in_wanted: first those they hold already, then those that lack
-- one answer only (where tasks stop when sure), then the next open ones of the walk, then those the walk had to pass
-- by (one span a call). Near the end of a project: the most needed ones. Who lets leases end unanswered gets one at
-- a time until they have answered as many; a network holds only so many at once (hot_allowance).
-- leases: [[task_id, seconds since 1970, payload, [[width, height, derivatives], ...]], ...].
-- reason: why there are none; retry_after: seconds. project_id NULL: no such project.
CREATE FUNCTION hot_lease(
    in_slug text, in_who uuid, in_wanted int, in_network bytea, in_seconds int, in_durable boolean,
    OUT project_id bigint, OUT task_type text, OUT config_version int, OUT state text,
    OUT reason text, OUT retry_after int, OUT leases json)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    span CONSTANT int := 100;  -- of the walk: kept in the cursor, so the same tasks are not passed by twice
    spans CONSTANT int := 5;
    look_back CONSTANT int := 12;  -- of the second lap: what a call may cost someone who has met everything
    lane CONSTANT bigint := -4611686018427387905;  -- before task_soon
    rest CONSTANT interval := '10 s';
    v_head bigint;
    v_ends int;
    v_most int;
    v_held int;
    v_seconds int;
    v_begin bigint;
    v_last int;
    is_ending boolean;
    is_sure boolean;  -- does the project stop when sure?
    is_judged boolean;
    is_seen boolean := false;  -- all that is open
    k "cursor"%ROWTYPE;
    walk record;
    given bigint[];
    picks bigint[] := '{}';
    v_until timestamptz;
    is_unfinished boolean := false;
    is_resting boolean := false;
BEGIN
    SELECT p.id, p.task_type, p.config_version, p.state, p.head_pos, coalesce(p.lease_seconds, in_seconds),
           '[]'::json, p.is_ending, p.stop_rule = 'confidence',
           p.stop_rule <> 'redundancy' OR p.answers_min < p.redundancy,
           CASE WHEN p.stop_rule <> 'redundancy' THEN p.answers_min END,
           CASE WHEN p.stop_rule = 'confidence' THEN p.redundancy END
    INTO project_id, task_type, config_version, state, v_head, v_seconds, leases, is_ending, is_sure, is_judged,
         v_ends, v_most
    FROM project p WHERE p.slug = in_slug;
    IF state IS DISTINCT FROM 'published' THEN RETURN; END IF;
    -- A lease that a crash forgets frees a seat; only together with an answer must it wait for the disk.
    IF NOT in_durable THEN PERFORM set_config('synchronous_commit', 'off', true); END IF;

    -- Two tabs of one contributor wait here for each other.
    SELECT c.* INTO k FROM cursor c WHERE c.contributor_id = in_who AND c.project_id = hot_lease.project_id
    FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO cursor (contributor_id, project_id, pos) VALUES (in_who, hot_lease.project_id, v_head)
        ON CONFLICT DO NOTHING;
        SELECT c.* INTO k FROM cursor c WHERE c.contributor_id = in_who AND c.project_id = hot_lease.project_id
        FOR UPDATE;
    END IF;
    IF k.n_lapsed > 0 AND in_network IS NOT NULL THEN in_wanted := 1; END IF;

    SELECT coalesce(array_agg(h.task_id), '{}') INTO given FROM (
        SELECT l.task_id FROM lease l
        WHERE l.contributor_id = in_who AND l.project_id = hot_lease.project_id
          AND l.expires_at > clock_timestamp()
        ORDER BY l.expires_at, l.task_id LIMIT in_wanted) h;
    v_held := cardinality(given);

    IF v_held < in_wanted AND in_network IS NOT NULL THEN
        in_wanted := v_held
            + hot_allowance(hot_lease.project_id, in_network, v_head, is_ending, v_held, in_wanted - v_held);
    END IF;
    IF v_held < in_wanted THEN
        v_until := clock_timestamp() + make_interval(secs => v_seconds);
        walk := NULL;
        v_head := greatest(v_head, -1);
        v_begin := CASE WHEN is_sure THEN lane ELSE v_head END;
        v_last := hot_last(is_judged);
        DECLARE
            wanted int := in_wanted - v_held;
            here bigint := k.pos;
        BEGIN
            -- Near the end of a project: the most needed of the few that are left.
            IF is_ending AND wanted > 0 THEN
                walk := hot_needed(hot_lease.project_id, in_who, in_network, v_ends, v_most, v_begin, 9223372036854775807,
                                   v_last + 1, wanted, is_judged);
                picks := walk.picks;
                is_seen := cardinality(picks) > 0 OR walk.n_seen <= v_last;
                wanted := CASE WHEN is_seen THEN 0 ELSE wanted END;
            -- Of those that lack one answer only the few that became so first.
            ELSIF is_sure AND wanted > 0 THEN
                walk := hot_needed(hot_lease.project_id, in_who, in_network, v_ends, v_most, k.soon, -2,
                                   look_back, wanted, true);
                picks := walk.picks;
                IF cardinality(picks) = 0 THEN k.soon := coalesce(walk.reached, k.soon); END IF;
            END IF;
            -- The walk.
            FOR i IN 1..spans LOOP
                EXIT WHEN cardinality(picks) >= wanted;
                walk := hot_walk(hot_lease.project_id, in_who, in_network, v_ends, v_most, here, 9223372036854775807, span,
                                 wanted - cardinality(picks));
                picks := picks || walk.picks;
                here := coalesce(walk.reached, here);
                is_unfinished := walk.n_seen = span;
                EXIT WHEN NOT is_unfinished;
            END LOOP;
            -- The second lap: what was locked, or full of one network, when the walk came by.
            IF wanted > 0 AND v_held + cardinality(picks) = 0 AND NOT is_unfinished THEN
                is_resting := k.rest_until > clock_timestamp();
                IF is_resting IS NOT TRUE THEN
                    walk := hot_walk(hot_lease.project_id, in_who, in_network, v_ends, v_most,
                                     CASE WHEN k.lap = -1 THEN v_begin ELSE greatest(k.lap, v_begin) END, k.pos,
                                     look_back, wanted);
                    picks := walk.picks;
                    is_unfinished := walk.n_seen = look_back;
                    IF NOT is_unfinished AND (k.lap <> -1 OR walk.n_seen > look_back / 2) THEN
                        k.rest_until := clock_timestamp() + rest;
                        is_resting := true;
                    END IF;
                    k.lap := CASE WHEN is_unfinished THEN walk.reached ELSE -1 END;
                END IF;
            END IF;
            k.pos := here;
        END;

        IF cardinality(picks) > 0 THEN
            UPDATE task t SET n_leases = t.n_leases + 1 WHERE t.id = ANY(picks);
            INSERT INTO lease (contributor_id, task_id, project_id, expires_at, network)
            SELECT in_who, p.id, hot_lease.project_id, v_until, in_network FROM unnest(picks) AS p(id);
        END IF;
        UPDATE cursor c
        SET pos = k.pos, soon = k.soon, lap = k.lap, rest_until = k.rest_until,
            n_served = k.n_served + cardinality(picks)
        WHERE c.contributor_id = in_who AND c.project_id = hot_lease.project_id;
        given := given || picks;
    END IF;

    IF cardinality(given) > 0 THEN
        SELECT json_agg(json_build_array(
            l.task_id, extract(epoch FROM l.expires_at)::float8, c.payload,
            CASE WHEN cardinality(c.media_ids) = 0 THEN '[]'::json ELSE (
                SELECT json_agg(json_build_array(m.width, m.height, m.derivatives) ORDER BY o.nth)
                FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth) JOIN media m ON m.id = o.id) END) ORDER BY g.nth)
        INTO leases
        FROM unnest(given) WITH ORDINALITY AS g(id, nth)
        JOIN lease l ON l.contributor_id = in_who AND l.task_id = g.id
        JOIN task_content c ON c.task_id = g.id;
    ELSIF is_unfinished THEN
        reason := 'none_for_you';
        retry_after := 1;
    ELSIF EXISTS (SELECT 1 FROM task t WHERE t.project_id = hot_lease.project_id AND t.open AND t.pos > v_head)
          OR is_sure AND EXISTS (
              SELECT 1 FROM task t WHERE t.project_id = hot_lease.project_id AND t.open AND t.pos < 0) THEN
        reason := 'none_for_you';
        retry_after := CASE WHEN is_resting THEN 30 ELSE 2 END;
    ELSIF EXISTS (
              SELECT 1 FROM task t WHERE t.project_id = hot_lease.project_id AND t.retired_at IS NULL AND NOT t.open)
          OR EXISTS (SELECT 1 FROM task t WHERE t.project_id = hot_lease.project_id AND t.open) THEN
        reason := 'none_for_you';  -- every seat is taken; one comes back if its volunteer does not
        retry_after := least(v_seconds, 15);
    ELSE
        reason := 'complete';
    END IF;
END $$;

-- Take one answer or skip, its verdict decided: the contributor's cursor and the task are locked. status: an
-- answer's, or 'skipped'. False, and nothing is changed, where it needs a seat (in_seat) and there is none.
--
-- Time goes by the server's clock. worked_until: up to when what this contributor said to have worked is accounted
-- for; between the later of that and the lease, and this moment, lies all the time that the answer can have taken.
-- paced_until: an answer a second, with 60 in hand (GCRA; hot_is_hurried).
CREATE FUNCTION hot_take(
    in_who uuid, in_task bigint, in_project bigint, in_kind text, in_status text, in_value jsonb, in_seconds float8,
    in_config_version int, in_network bytea, in_retire text, in_seat boolean) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    l lease%ROWTYPE;
    v_now timestamptz := clock_timestamp();
    v_from timestamptz;
    v_possible float8;
BEGIN
    DELETE FROM lease WHERE contributor_id = in_who AND task_id = in_task AND (holds_seat OR NOT in_seat)
    RETURNING * INTO l;
    IF in_seat AND l.task_id IS NULL THEN RETURN false; END IF;
    IF in_status = 'skipped' THEN
        INSERT INTO skip (contributor_id, task_id, project_id) VALUES (in_who, in_task, in_project)
        ON CONFLICT DO NOTHING;
    ELSE
        IF NOT in_seat THEN  -- changed their mind
            DELETE FROM skip WHERE contributor_id = in_who AND task_id = in_task;
        END IF;
        IF l.leased_at IS NOT NULL THEN
            SELECT greatest(c.worked_until, l.leased_at) INTO v_from FROM cursor c
            WHERE c.contributor_id = in_who AND c.project_id = in_project;
            v_possible := greatest(0, extract(epoch FROM v_now - v_from));
        END IF;
        PERFORM answer_put(
            NULL, in_project, in_task, in_who, in_kind, in_status,
            CASE WHEN in_kind <> 'cant_tell' THEN in_value END, in_seconds, v_possible, in_config_version,
            CASE WHEN l.task_id IS NULL THEN in_network ELSE l.network END, 1, NULL, NULL);
        UPDATE cursor SET
            worked_until = v_from + make_interval(secs => least(in_seconds, v_possible)),
            paced_until = greatest(paced_until, v_now) + interval '1 s',
            n_lapsed = greatest(0, n_lapsed - 1)
        WHERE contributor_id = in_who AND project_id = in_project;
    END IF;
    -- A task that was full and has a free seat again goes to the end of the order, so that every cursor meets it.
    UPDATE task t
    SET n_answers = t.n_answers + (in_status = 'counted')::int,
        n_leases = t.n_leases - (l.holds_seat IS TRUE)::int,
        retired_at = CASE WHEN t.retired_at IS NULL AND in_retire IS NOT NULL THEN now() ELSE t.retired_at END,
        retirement_reason = coalesce(t.retirement_reason, in_retire),
        pos = CASE WHEN l.holds_seat AND in_status <> 'counted' AND NOT t.open AND t.retired_at IS NULL
                   THEN hot_again(t.pos) ELSE t.pos END
    WHERE t.id = in_task;
    RETURN true;
END $$;

-- Has this contributor answered more than 60 times in one go, and more than once a second since? In an exempt
-- network (in_network NULL) nobody has.
CREATE FUNCTION hot_is_hurried(in_who uuid, in_project bigint, in_network bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN in_network IS NOT NULL AND EXISTS (
        SELECT 1 FROM cursor WHERE contributor_id = in_who AND project_id = in_project
        AND paced_until > clock_timestamp() + interval '60 s');
END $$;

-- What is stored of a contributor's answer to a task, and whether it is what they send now, in its first or in a
-- later version: [status, is the same, kind, value]. A check of a known task reads as counted. NULL: no answer.
CREATE FUNCTION hot_stored(in_who uuid, in_task bigint, in_kind text, in_value jsonb) RETURNS json
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
    RETURN (
        SELECT json_build_array(
            CASE a.status WHEN 'check' THEN 'counted' ELSE a.status END,
            a.kind = in_kind AND a.value IS NOT DISTINCT FROM CASE WHEN in_kind <> 'cant_tell' THEN in_value END
            OR a.revision > 1 AND EXISTS (
                SELECT 1 FROM answer_revision v WHERE v.answer_id = a.id AND v.kind = in_kind
                AND v.value IS NOT DISTINCT FROM CASE WHEN in_kind <> 'cant_tell' THEN in_value END),
            a.kind, a.value)
        FROM answer a WHERE a.task_id = in_task AND a.contributor_id = in_who);
END $$;

-- Take a plain answer and hand out what comes next, in one transaction: the contributor holds a seat, and the task
-- has not been answered enough to need a consensus.
-- [status, slug, what hot_lease says or null, null, null]; status counted; or stored, and the last is then what
-- hot_stored says; or hurried. Otherwise nothing is changed and status is null; the last but one is then what
-- hot_pending says, if in_pending and a consensus is all that stands in the way.
CREATE FUNCTION hot_submit(
    in_who uuid, in_project bigint, in_task bigint, in_kind text, in_value jsonb, in_seconds float8,
    in_config_version int, in_wanted int, in_network bytea, in_lease_seconds int, in_pending boolean) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    p record;
    status text;
    stored json;
    leased json;
BEGIN
    SELECT slug, answers_min INTO p FROM project WHERE id = in_project;
    PERFORM 1 FROM cursor WHERE contributor_id = in_who AND project_id = in_project FOR UPDATE;
    IF hot_is_hurried(in_who, in_project, in_network) THEN
        RETURN json_build_array('hurried', p.slug, NULL, NULL, NULL);
    END IF;
    PERFORM 1 FROM task WHERE id = in_task AND n_answers + 1 < least(p.answers_min, redundancy)
        AND retirement_reason IS DISTINCT FROM 'withdrawn' FOR NO KEY UPDATE;
    IF FOUND AND hot_take(in_who, in_task, in_project, in_kind, 'counted', in_value, in_seconds,
                          in_config_version, in_network, NULL, true) THEN
        status := 'counted';
    ELSE
        -- Another request of this contributor was waited for: what that one wrote is seen here.
        stored := hot_stored(in_who, in_task, in_kind, in_value);
        IF stored IS NULL THEN
            RETURN json_build_array(
                NULL, p.slug, NULL, CASE WHEN in_pending THEN hot_pending(in_who, in_task) END, NULL);
        END IF;
        status := 'stored';
    END IF;
    IF in_wanted > 0 THEN
        SELECT row_to_json(l) INTO leased
        FROM hot_lease(p.slug, in_who, in_wanted, in_network, in_lease_seconds, true) AS l;
    END IF;
    RETURN json_build_array(status, p.slug, leased, NULL, stored);
END $$;

-- What making the consensus that this contributor's answer makes due needs, without a lock: [redundancy, n_answers,
-- answers_min, stop_rule, stop_threshold, task type, config version, version, [[contributor, kind, value], ...]].
-- hot_settle compares the version. NULL: it is not that simple; engine/assignment/submit.py decides under locks.
CREATE FUNCTION hot_pending(in_who uuid, in_task bigint) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
        SELECT json_build_array(
            t.redundancy, t.n_answers, p.answers_min, p.stop_rule, p.stop_threshold, p.task_type, p.config_version,
            answers_version(t.id),
            (SELECT coalesce(json_agg(json_build_array(replace(a.contributor_id::text, '-', ''), a.kind, a.value)),
                             '[]')
             FROM counted_answer a WHERE a.task_id = t.id AND NOT a.is_excluded))
        FROM task t
        JOIN project p ON p.id = t.project_id
        JOIN lease l ON l.contributor_id = in_who AND l.task_id = t.id AND l.holds_seat
        LEFT JOIN contributor_record me ON me.project_id = t.project_id AND me.contributor_id = in_who
        WHERE t.id = in_task AND t.retired_at IS NULL AND p.stop_rule IN ('redundancy', 'agreement')
          AND me.is_excluded IS NOT TRUE);
END $$;

-- Take the answer with the consensus it made due, then do as hot_submit. NULL, and nothing is changed: the answers
-- or the task are no longer what hot_pending read. in_consensus: what consensus_put stores, as an object.
CREATE FUNCTION hot_settle(
    in_who uuid, in_project bigint, in_task bigint, in_kind text, in_value jsonb, in_seconds float8,
    in_config_version int, in_wanted int, in_network bytea, in_lease_seconds int,
    in_version bigint, in_retire text, in_consensus jsonb) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_slug text;
    v_consensus consensus_row;
    leased json;
BEGIN
    SELECT slug INTO v_slug FROM project WHERE id = in_project;
    PERFORM 1 FROM cursor WHERE contributor_id = in_who AND project_id = in_project FOR UPDATE;
    PERFORM 1 FROM task WHERE id = in_task AND retired_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND OR in_version <> answers_version(in_task) THEN RETURN NULL; END IF;
    IF NOT hot_take(in_who, in_task, in_project, in_kind, 'counted', in_value, in_seconds, in_config_version,
                    in_network, in_retire, true) THEN
        RETURN NULL;
    END IF;
    v_consensus := jsonb_populate_record(NULL::consensus_row, in_consensus);
    v_consensus.task_id := in_task;
    PERFORM consensus_put(in_project, 'majority', ARRAY[v_consensus]);
    IF in_wanted > 0 THEN
        SELECT row_to_json(l) INTO leased
        FROM hot_lease(v_slug, in_who, in_wanted, in_network, in_lease_seconds, true) AS l;
    END IF;
    RETURN json_build_array('counted', v_slug, leased, NULL, NULL);
END $$;

-- What never changes of a task: [task type, payload, [[width, height], ...]]; NULL: there is no such task.
CREATE FUNCTION hot_content(in_task bigint) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
        SELECT json_build_array(p.task_type, c.payload, CASE WHEN cardinality(c.media_ids) = 0 THEN '[]'::json ELSE (
            SELECT json_agg(json_build_array(m.width, m.height) ORDER BY o.nth)
            FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth) JOIN media m ON m.id = o.id) END)
        FROM task t JOIN task_content c ON c.task_id = t.id JOIN project p ON p.id = t.project_id
        WHERE t.id = in_task);
END $$;

-- What engine/assignment/submit.py needs to judge answers to these tasks, one row a task that exists. With in_lock the
-- contributor's cursors and the tasks are locked first and everything is read after that.
CREATE FUNCTION hot_facts(in_who uuid, in_tasks bigint[], in_network bytea, in_lock boolean)
RETURNS TABLE (
    task_id bigint, project_id bigint, redundancy int, n_answers int, is_open boolean, retirement_reason text,
    slug text, task_type text, config_version int, answers_min int, stop_rule text, stop_threshold float8,
    payload jsonb, sizes json, holds_seat boolean, has_room boolean, is_answered boolean, is_skipped boolean,
    is_hurried boolean)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    IF in_lock THEN
        PERFORM 1 FROM cursor c
        WHERE c.contributor_id = in_who
          AND c.project_id IN (SELECT t.project_id FROM task t WHERE t.id = ANY(in_tasks))
        ORDER BY c.project_id FOR UPDATE;
        PERFORM 1 FROM task t WHERE t.id = ANY(in_tasks) ORDER BY t.id FOR NO KEY UPDATE;
    END IF;
    RETURN QUERY
    SELECT t.id, t.project_id, t.redundancy::int, t.n_answers::int, t.open, t.retirement_reason,
           p.slug, p.task_type, p.config_version, p.answers_min, p.stop_rule, p.stop_threshold,
           c.payload,
           CASE WHEN cardinality(c.media_ids) = 0 THEN '[]'::json ELSE (
               SELECT json_agg(json_build_array(m.width, m.height) ORDER BY o.nth)
               FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth) JOIN media m ON m.id = o.id) END,
           l.holds_seat,
           in_network IS NULL OR l.task_id IS NOT NULL OR hot_has_room(
               t.id, t.redundancy, CASE WHEN p.stop_rule <> 'redundancy' THEN p.answers_min END,
               CASE WHEN p.stop_rule = 'confidence' THEN p.redundancy END, in_network),
           EXISTS (SELECT 1 FROM answer a WHERE a.task_id = t.id AND a.contributor_id = in_who),
           EXISTS (SELECT 1 FROM skip s WHERE s.task_id = t.id AND s.contributor_id = in_who),
           hot_is_hurried(in_who, t.project_id, in_network)
    FROM unnest(in_tasks) AS wanted(id)
    JOIN task t ON t.id = wanted.id
    JOIN project p ON p.id = t.project_id
    JOIN task_content c ON c.task_id = t.id
    LEFT JOIN lease l ON l.contributor_id = in_who AND l.task_id = t.id;
END $$;

-- Take what was decided under the locks of hot_facts, in order. items: [{task, kind, status, value, seconds, version,
-- retire}]; status is an answer's or 'skipped'.
CREATE FUNCTION hot_write(in_who uuid, in_network bytea, in_items jsonb) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    PERFORM hot_take(in_who, t.id, t.project_id, i.kind, i.status, i.value, i.seconds, i.version, in_network,
                     i.retire, false)
    FROM jsonb_to_recordset(in_items)
        AS i(task bigint, kind text, status text, value jsonb, seconds float8, version int, retire text)
    JOIN task t ON t.id = i.task;
END $$;
