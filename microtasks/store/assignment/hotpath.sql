-- The hot path: hand out tasks, take a plain answer. Called by hotpath.py; replaced by every migration.
--
-- Why functions: one message does it all (each statement sent costs the web process as much as a bare Flask
-- reply), no lock waits for Python, and each statement inside sees what was committed before it began. A single
-- statement that locks and then reads would read what was true before it waited for the lock.
--
-- Lock order everywhere: cursor, task, lease. READ COMMITTED. Tasks are picked with SKIP LOCKED: never a wait.

-- Positions: random ones from 0 on with the owner's priority in their high bits (store/imports/tasks.py); from task_pos on
-- the end of the order; below 0 the tasks that lack one answer only (see hot_again).
CREATE SEQUENCE IF NOT EXISTS task_pos START 4611686018427387904;  -- tables.END_OF_ORDER
CREATE SEQUENCE IF NOT EXISTS task_soon MINVALUE -4611686018427387904 START -4611686018427387904;

DROP FUNCTION IF EXISTS hot_lease;
DROP FUNCTION IF EXISTS hot_walk;
DROP FUNCTION IF EXISTS hot_needed;
DROP FUNCTION IF EXISTS hot_again;
DROP FUNCTION IF EXISTS hot_gold;
DROP FUNCTION IF EXISTS hot_answer;
DROP FUNCTION IF EXISTS hot_turn;
DROP FUNCTION IF EXISTS hot_due;
DROP FUNCTION IF EXISTS hot_settle;
DROP FUNCTION IF EXISTS hot_content;
DROP FUNCTION IF EXISTS hot_facts;
DROP FUNCTION IF EXISTS hot_write;
DROP FUNCTION IF EXISTS hot_has_room;

-- May one more contributor of this network have a seat of this task? At most (redundancy - 1) / 2, at least one,
-- so that one network is never a majority; with a redundancy below 3 there is no such defence.
-- VOLATILE on purpose: it then counts by a fresh snapshot, also when a row that changed is checked again.
CREATE FUNCTION hot_has_room(in_task bigint, in_redundancy int, in_network bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN in_network IS NULL OR in_redundancy < 3 OR greatest(1, (in_redundancy - 1) / 2) >
        (SELECT count(*) FROM answer WHERE task_id = in_task AND network = in_network AND status = 'counted')
      + (SELECT count(*) FROM lease WHERE task_id = in_task AND network = in_network AND holds_seat);
END $$;

-- Where a task goes that was full and has a free seat again, so that every cursor meets it: to the end of the order
-- that it stands in. Those below 0 were opened for one more answer where tasks stop when sure: they are served first.
CREATE FUNCTION hot_again(in_pos bigint) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN in_pos < 0 THEN nextval('task_soon') ELSE nextval('task_pos') END
$$;

-- Lock up to in_wanted open tasks in (in_after, in_upto], in order, that this contributor has not met.
-- Looks at no more than in_span tasks. reached: where it stopped; n_seen < in_span: nothing is left behind that.
CREATE FUNCTION hot_walk(
    in_project bigint, in_who uuid, in_network bytea, in_after bigint, in_upto bigint, in_span int, in_wanted int,
    OUT picks bigint[], OUT reached bigint, OUT n_seen int)
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
          AND (in_network IS NULL OR hot_has_room(t.id, t.redundancy, in_network))
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
    in_project bigint, in_who uuid, in_network bytea, in_after bigint, in_upto bigint, in_span int, in_wanted int,
    in_is_judged boolean, OUT picks bigint[], OUT reached bigint, OUT n_seen int)
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
          AND (in_network IS NULL OR hot_has_room(t.id, t.redundancy, in_network))
        FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN picks := picks || next_id; END IF;
    END LOOP;
    n_seen := coalesce(n_seen, 0);
END $$;

-- The next known task for this contributor, in its random order (task_gold.draw), once around from in_start.
-- draw: how far they are then, in_start..in_start + 1; chosen NULL: there is none left.
CREATE FUNCTION hot_gold(
    in_project bigint, in_who uuid, in_start float8, in_draw float8, OUT chosen bigint, OUT draw float8)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    FOR turn IN 0..1 LOOP
        CONTINUE WHEN turn = 0 AND in_draw >= 1;
        SELECT g.task_id, g.draw + turn INTO chosen, draw
        FROM task_gold g JOIN task t ON t.id = g.task_id
        WHERE g.project_id = in_project AND g.draw > in_draw - turn AND (turn = 0 OR g.draw <= in_start)
          AND t.retirement_reason IS DISTINCT FROM 'withdrawn'
          AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.task_id = t.id AND a.contributor_id = in_who)
          AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.task_id = t.id AND l.contributor_id = in_who)
          AND NOT EXISTS (SELECT 1 FROM skip s WHERE s.task_id = t.id AND s.contributor_id = in_who)
        ORDER BY g.draw LIMIT 1;
        IF chosen IS NOT NULL THEN RETURN; END IF;
    END LOOP;
    draw := in_start + 1;
END $$;

-- Hand out tasks to one contributor until they hold in_wanted: first those they hold already, then in_gold known
-- tasks, then those that lack one answer only (where tasks stop when sure), then the next open ones of the walk, then
-- those the walk had to pass by (one span a call). Near the end of a project: the most needed ones.
-- in_gold NULL: not decided yet; with a gold share the function then only says what the decision needs.
-- leases: [[task_id, seconds since 1970, payload, [[width, height, derivatives], ...], drawn as gold?], ...].
-- reason: why there are none; retry_after: seconds. project_id NULL: no such project.
CREATE FUNCTION hot_lease(
    in_slug text, in_who uuid, in_wanted int, in_network bytea, in_seconds int, in_gold int, in_durable boolean,
    OUT project_id bigint, OUT task_type text, OUT config_version int, OUT state text, OUT gold_share float8,
    OUT n_served int, OUT n_gold int, OUT n_held int, OUT is_undecided boolean,
    OUT reason text, OUT retry_after int, OUT leases json)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    span CONSTANT int := 100;  -- of the walk: kept in the cursor, so the same tasks are not passed by twice
    spans CONSTANT int := 5;
    look_back CONSTANT int := 12;  -- of the second lap: what a call may cost someone who has met everything
    last CONSTANT int := 24;  -- tasks, a third less where each may have a consensus: see project.is_ending
    lane CONSTANT bigint := -4611686018427387905;  -- before task_soon
    rest CONSTANT interval := '10 s';
    v_head bigint;
    v_seconds int;
    v_begin bigint;
    v_last int;
    is_ending boolean;
    is_sure boolean;  -- does the project stop when sure?
    is_judged boolean;
    is_seen boolean := false;  -- all that is open
    k "cursor"%ROWTYPE;
    walk record;
    gold record;
    given bigint[];
    drawn bigint[] := '{}';
    picks bigint[] := '{}';
    v_until timestamptz;
    v_start float8;
    has_seat boolean;
    is_unfinished boolean := false;
    is_resting boolean := false;
BEGIN
    SELECT p.id, p.task_type, p.config_version, p.state, p.gold_share, p.head_pos,
           coalesce(p.lease_seconds, in_seconds), false, '[]'::json,
           p.is_ending, p.stop_rule = 'confidence', p.stop_rule <> 'redundancy' OR p.answers_min < p.redundancy
    INTO project_id, task_type, config_version, state, gold_share, v_head, v_seconds, is_undecided, leases,
         is_ending, is_sure, is_judged
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
    n_served := k.n_served;
    n_gold := k.n_gold;

    SELECT coalesce(array_agg(h.task_id), '{}') INTO given FROM (
        SELECT l.task_id FROM lease l
        WHERE l.contributor_id = in_who AND l.project_id = hot_lease.project_id
          AND l.expires_at > clock_timestamp()
        ORDER BY l.expires_at, l.task_id LIMIT in_wanted) h;
    n_held := cardinality(given);

    IF n_held < in_wanted THEN
        IF in_gold IS NULL AND gold_share > 0 THEN
            is_undecided := true;
            RETURN;
        END IF;
        v_until := clock_timestamp() + make_interval(secs => v_seconds);

        IF in_gold > 0 THEN
            v_start := (get_byte(uuid_send(in_who), 0) * 256 + get_byte(uuid_send(in_who), 1)) / 65536.0;
            FOR i IN 1..least(in_gold, in_wanted - n_held) LOOP
                gold := hot_gold(hot_lease.project_id, in_who, v_start, coalesce(k.gold_draw, v_start));
                k.gold_draw := gold.draw;
                EXIT WHEN gold.chosen IS NULL;
                drawn := drawn || gold.chosen;
                -- A seat if one is free; otherwise the answer checks the contributor and no more.
                PERFORM 1 FROM task t
                WHERE t.id = gold.chosen AND t.open
                  AND (in_network IS NULL OR hot_has_room(t.id, t.redundancy, in_network))
                FOR NO KEY UPDATE SKIP LOCKED;
                has_seat := FOUND;
                IF has_seat THEN UPDATE task t SET n_leases = t.n_leases + 1 WHERE t.id = gold.chosen; END IF;
                INSERT INTO lease (contributor_id, task_id, project_id, expires_at, holds_seat, network)
                VALUES (in_who, gold.chosen, hot_lease.project_id, v_until, has_seat, in_network);
            END LOOP;
        END IF;

        walk := NULL;
        v_head := greatest(v_head, -1);
        v_begin := CASE WHEN is_sure THEN lane ELSE v_head END;
        v_last := CASE WHEN is_judged THEN last * 2 / 3 ELSE last END;
        DECLARE
            wanted int := in_wanted - n_held - cardinality(drawn);
            here bigint := k.pos;
        BEGIN
            -- Near the end of a project: the most needed of the few that are left.
            IF is_ending AND wanted > 0 THEN
                walk := hot_needed(hot_lease.project_id, in_who, in_network, v_begin, 9223372036854775807,
                                   v_last + 1, wanted, is_judged);
                picks := walk.picks;
                is_seen := cardinality(picks) > 0 OR walk.n_seen <= v_last;
                wanted := CASE WHEN is_seen THEN 0 ELSE wanted END;
            -- Of those that lack one answer only the few that became so first.
            ELSIF is_sure AND wanted > 0 THEN
                walk := hot_needed(hot_lease.project_id, in_who, in_network, k.soon, -2, look_back, wanted, true);
                picks := walk.picks;
                IF cardinality(picks) = 0 THEN k.soon := coalesce(walk.reached, k.soon); END IF;
            END IF;
            -- The walk.
            FOR i IN 1..spans LOOP
                EXIT WHEN cardinality(picks) >= wanted;
                walk := hot_walk(hot_lease.project_id, in_who, in_network, here, 9223372036854775807, span,
                                 wanted - cardinality(picks));
                picks := picks || walk.picks;
                here := coalesce(walk.reached, here);
                is_unfinished := walk.n_seen = span;
                EXIT WHEN NOT is_unfinished;
            END LOOP;
            -- The second lap: what was locked, or full of one network, when the walk came by.
            IF wanted > 0 AND n_held + cardinality(drawn) + cardinality(picks) = 0 AND NOT is_unfinished THEN
                is_resting := k.rest_until > clock_timestamp();
                IF is_resting IS NOT TRUE THEN
                    walk := hot_walk(hot_lease.project_id, in_who, in_network,
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
        IF gold_share > 0 THEN
            n_gold := k.n_gold + cardinality(drawn)
                + (SELECT count(*) FROM task_gold g WHERE g.task_id = ANY(picks));
        END IF;
        UPDATE cursor c
        SET pos = k.pos, soon = k.soon, lap = k.lap, rest_until = k.rest_until, gold_draw = k.gold_draw,
            n_served = k.n_served + cardinality(drawn) + cardinality(picks), n_gold = hot_lease.n_gold
        WHERE c.contributor_id = in_who AND c.project_id = hot_lease.project_id;
        given := given || drawn || picks;
    END IF;

    IF cardinality(given) > 0 THEN
        SELECT json_agg(json_build_array(
            l.task_id, extract(epoch FROM l.expires_at)::float8, c.payload,
            CASE WHEN cardinality(c.media_ids) = 0 THEN '[]'::json ELSE (
                SELECT json_agg(json_build_array(m.width, m.height, m.derivatives) ORDER BY o.nth)
                FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth) JOIN media m ON m.id = o.id) END,
            l.task_id = ANY(drawn)) ORDER BY g.nth)
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

-- Take the plain answer: the contributor holds a seat, the task has not been answered enough to need a consensus.
-- False, and nothing is changed, in every other case: then engine/assignment/submit.py decides under the same locks.
CREATE FUNCTION hot_answer(
    in_who uuid, in_task bigint, in_project bigint, in_kind text, in_value jsonb, in_seconds float8,
    in_config_version int, in_answers_min int) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_network bytea;
BEGIN
    PERFORM 1 FROM cursor WHERE contributor_id = in_who AND project_id = in_project FOR UPDATE;
    PERFORM 1 FROM task WHERE id = in_task AND n_answers + 1 < least(in_answers_min, redundancy)
        AND retirement_reason IS DISTINCT FROM 'withdrawn' FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    DELETE FROM lease WHERE contributor_id = in_who AND task_id = in_task AND holds_seat
    RETURNING network INTO v_network;
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, seconds_spent, config_version,
                        network)
    VALUES (in_project, in_task, in_who, in_kind, 'counted', in_value, in_seconds, in_config_version, v_network);
    UPDATE task SET n_answers = n_answers + 1, n_leases = n_leases - 1 WHERE id = in_task;
    RETURN true;
END $$;

-- An answer's whole turn: take it if it is plain, then hand out what comes next, in one transaction.
-- [status, slug, what hot_lease says or null, null]; status counted or duplicate. Otherwise nothing is changed and
-- status is null; the last is then what hot_due says, if in_due and a consensus is all that stands in the way.
CREATE FUNCTION hot_turn(
    in_who uuid, in_project bigint, in_task bigint, in_kind text, in_value jsonb, in_seconds float8,
    in_config_version int, in_wanted int, in_network bytea, in_lease_seconds int, in_due boolean) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    p record;
    status text := 'counted';
    leased json;
BEGIN
    SELECT slug, answers_min INTO p FROM project WHERE id = in_project;
    IF NOT hot_answer(in_who, in_task, in_project, in_kind, in_value, in_seconds, in_config_version,
                      p.answers_min) THEN
        -- hot_answer waited for another request of this contributor: what that one wrote is seen here.
        PERFORM 1 FROM answer WHERE task_id = in_task AND contributor_id = in_who;
        IF NOT FOUND THEN
            RETURN json_build_array(NULL, p.slug, NULL, CASE WHEN in_due THEN hot_due(in_who, in_task) END);
        END IF;
        status := 'duplicate';
    END IF;
    IF in_wanted > 0 THEN
        SELECT row_to_json(l) INTO leased
        FROM hot_lease(p.slug, in_who, in_wanted, in_network, in_lease_seconds, NULL, true) AS l;
    END IF;
    RETURN json_build_array(status, p.slug, leased, NULL);
END $$;

-- What making the consensus that this contributor's answer makes due needs, without a lock: [redundancy, n_answers,
-- answers_min, stop_rule, stop_threshold, task type, config version, version, [[contributor, kind, value], ...]].
-- version grows with every counted answer and every revision: hot_settle compares it.
-- NULL: it is not that simple; engine/assignment/submit.py decides under locks.
CREATE FUNCTION hot_due(in_who uuid, in_task bigint) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN (
        SELECT json_build_array(
            t.redundancy, t.n_answers, p.answers_min, p.stop_rule, p.stop_threshold, p.task_type, p.config_version,
            (SELECT coalesce(sum(a.revision), 0) FROM answer a WHERE a.task_id = t.id AND a.status = 'counted'),
            (SELECT coalesce(json_agg(json_build_array(replace(a.contributor_id::text, '-', ''), a.kind, a.value)),
                             '[]')
             FROM answer a LEFT JOIN contributor_record r
                 ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id
             WHERE a.task_id = t.id AND a.status = 'counted' AND r.is_excluded IS NOT TRUE))
        FROM task t
        JOIN project p ON p.id = t.project_id
        JOIN lease l ON l.contributor_id = in_who AND l.task_id = t.id AND l.holds_seat
        LEFT JOIN contributor_record me ON me.project_id = t.project_id AND me.contributor_id = in_who
        WHERE t.id = in_task AND t.retired_at IS NULL AND p.stop_rule IN ('redundancy', 'agreement')
          AND me.is_excluded IS NOT TRUE);
END $$;

-- Take the answer with the consensus it made due, then do as hot_turn. NULL, and nothing is changed: the answers or
-- the task are no longer what hot_due read. in_consensus: the columns of that table.
CREATE FUNCTION hot_settle(
    in_who uuid, in_project bigint, in_task bigint, in_kind text, in_value jsonb, in_seconds float8,
    in_config_version int, in_wanted int, in_network bytea, in_lease_seconds int,
    in_version bigint, in_retire text, in_consensus jsonb) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    v_slug text;
    v_network bytea;
    leased json;
BEGIN
    SELECT slug INTO v_slug FROM project WHERE id = in_project;
    PERFORM 1 FROM cursor WHERE contributor_id = in_who AND project_id = in_project FOR UPDATE;
    PERFORM 1 FROM task WHERE id = in_task AND retired_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF in_version <> (
        SELECT coalesce(sum(revision), 0) FROM answer WHERE task_id = in_task AND status = 'counted')
    THEN RETURN NULL; END IF;
    DELETE FROM lease WHERE contributor_id = in_who AND task_id = in_task AND holds_seat
    RETURNING network INTO v_network;
    IF NOT FOUND THEN RETURN NULL; END IF;
    INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, seconds_spent, config_version,
                        network)
    VALUES (in_project, in_task, in_who, in_kind, 'counted', in_value, in_seconds, in_config_version, v_network);
    UPDATE task
    SET n_answers = n_answers + 1, n_leases = n_leases - 1, retirement_reason = in_retire,
        retired_at = CASE WHEN in_retire IS NOT NULL THEN now() END
    WHERE id = in_task;
    INSERT INTO consensus (task_id, project_id, value, agreement, confidence, n_answers, is_tied, detail, method,
                           reducer, parameters)
    SELECT in_task, in_project, c.value, c.agreement, c.confidence, c.n_answers, c.is_tied, c.detail, 'majority',
           c.reducer, c.parameters
    FROM jsonb_to_record(in_consensus)
        AS c(value jsonb, agreement float8, confidence float8, n_answers int, is_tied boolean, detail jsonb,
             reducer text, parameters jsonb)
    ON CONFLICT (task_id) DO UPDATE SET
        value = EXCLUDED.value, agreement = EXCLUDED.agreement, confidence = EXCLUDED.confidence,
        n_answers = EXCLUDED.n_answers, is_tied = EXCLUDED.is_tied, detail = EXCLUDED.detail,
        method = EXCLUDED.method, reducer = EXCLUDED.reducer, parameters = EXCLUDED.parameters, updated_at = now();
    IF in_wanted > 0 THEN
        SELECT row_to_json(l) INTO leased
        FROM hot_lease(v_slug, in_who, in_wanted, in_network, in_lease_seconds, NULL, true) AS l;
    END IF;
    RETURN json_build_array('counted', v_slug, leased, NULL);
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
    gold_share float8, payload jsonb, sizes json, holds_seat boolean, has_room boolean, answer_status text,
    is_skipped boolean)
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
           p.gold_share, c.payload,
           CASE WHEN cardinality(c.media_ids) = 0 THEN '[]'::json ELSE (
               SELECT json_agg(json_build_array(m.width, m.height) ORDER BY o.nth)
               FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth) JOIN media m ON m.id = o.id) END,
           l.holds_seat,
           in_network IS NULL OR l.task_id IS NOT NULL OR hot_has_room(t.id, t.redundancy, in_network),
           (SELECT a.status FROM answer a WHERE a.task_id = t.id AND a.contributor_id = in_who),
           EXISTS (SELECT 1 FROM skip s WHERE s.task_id = t.id AND s.contributor_id = in_who)
    FROM unnest(in_tasks) AS wanted(id)
    JOIN task t ON t.id = wanted.id
    JOIN project p ON p.id = t.project_id
    JOIN task_content c ON c.task_id = t.id
    LEFT JOIN lease l ON l.contributor_id = in_who AND l.task_id = t.id;
END $$;

-- Write what was decided under the locks of hot_facts. items: [{task, kind, status, value, seconds, version,
-- retire}]; status is an answer's or 'skipped'. A task that was full and has a free seat again goes to the end of
-- the order, so that every cursor meets it.
CREATE FUNCTION hot_write(in_who uuid, in_network bytea, in_items jsonb) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO answer (project_id, task_id, contributor_id, kind, status, value, seconds_spent, config_version,
                        network)
    SELECT t.project_id, t.id, in_who, i.kind, i.status, CASE WHEN i.kind <> 'cant_tell' THEN i.value END,
           i.seconds, i.version, CASE WHEN l.task_id IS NULL THEN in_network ELSE l.network END
    FROM jsonb_to_recordset(in_items)
        AS i(task bigint, kind text, status text, value jsonb, seconds float8, version int)
    JOIN task t ON t.id = i.task
    LEFT JOIN lease l ON l.contributor_id = in_who AND l.task_id = i.task
    WHERE i.status <> 'skipped';

    INSERT INTO skip (contributor_id, task_id, project_id)
    SELECT in_who, t.id, t.project_id
    FROM jsonb_to_recordset(in_items) AS i(task bigint, status text) JOIN task t ON t.id = i.task
    WHERE i.status = 'skipped' ON CONFLICT DO NOTHING;

    DELETE FROM skip s USING jsonb_to_recordset(in_items) AS i(task bigint, status text)
    WHERE s.contributor_id = in_who AND s.task_id = i.task AND i.status <> 'skipped';  -- changed their mind

    UPDATE task t
    SET n_answers = t.n_answers + (i.status = 'counted')::int,
        n_leases = t.n_leases - (l.holds_seat IS TRUE)::int,
        retired_at = CASE WHEN t.retired_at IS NULL AND i.retire IS NOT NULL THEN now() ELSE t.retired_at END,
        retirement_reason = coalesce(t.retirement_reason, i.retire),
        pos = CASE WHEN l.holds_seat AND i.status <> 'counted' AND NOT t.open AND t.retired_at IS NULL
                   THEN hot_again(t.pos) ELSE t.pos END
    FROM jsonb_to_recordset(in_items) AS i(task bigint, status text, retire text)
    LEFT JOIN lease l ON l.contributor_id = in_who AND l.task_id = i.task
    WHERE t.id = i.task;

    DELETE FROM lease l USING jsonb_to_recordset(in_items) AS i(task bigint)
    WHERE l.contributor_id = in_who AND l.task_id = i.task;
END $$;
