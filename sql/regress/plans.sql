-- Plans: BERT in parallel workers, and after the cheap conditions.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set load :tree '/test/golden/sql/load.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\t on
\a
\i :load
\set ECHO all
SELECT bert_default_model('tagger');
CREATE TABLE films (title text, year int, plot text, embedding real[]);
INSERT INTO films SELECT 'film ' || i, 1900 + i % 125, repeat('the ghost of a robot ', 90), bert_embed('ghost ' || i % 9)
  FROM generate_series(1, 5000) AS i;
ANALYZE films;
SET max_parallel_workers_per_gather = 2;

EXPLAIN (VERBOSE, COSTS OFF) SELECT title, bert_tags(plot) FROM films;
EXPLAIN (VERBOSE, COSTS OFF) SELECT title, bert_embed(plot, 'tagger') FROM films;
EXPLAIN (COSTS OFF) SELECT title FROM films WHERE 'horror' = ANY (bert_tags(plot)) AND year > 2000;
EXPLAIN (COSTS OFF) SELECT title FROM films WHERE bert_similarity(bert_embed(plot), embedding) > 0.5 AND title LIKE '%7' AND year > 2000;
EXPLAIN (COSTS OFF) SELECT title FROM films WHERE bert_token_count(plot) > 100 AND bert_tags(plot) = '{}' AND bert_similarity(embedding, embedding) > 0.5;
-- A constant is folded where the model is named.
EXPLAIN (COSTS OFF) SELECT title FROM films WHERE bert_tags('The ghost ship.', 'tagger', top_k => 1) = '{romance}' AND year = 1999;

-- Where it is not, it is yet computed only once: 20,000 times would take minutes.
SET statement_timeout = '60s';
SELECT count(bert_embed(repeat('of ', 2700))), count(DISTINCT bert_tags(repeat('of ', 2700))) FROM generate_series(1, 20000);
PREPARE twice(text) AS SELECT count(DISTINCT bert_embed($1)) FROM generate_series(1, 20000);
SET plan_cache_mode = force_generic_plan;
EXECUTE twice(repeat('of ', 2700));
RESET plan_cache_mode;
-- Other options, another text, another model: another answer.
SELECT bert_tags('The ghost ship.', top_k => k), bert_tags('ghost', top_k => k), bert_tags('The ghost ship.', m, top_k => k)
  FROM generate_series(1, 2) AS k, (VALUES ('tagger'), ('genre')) AS v (m);
RESET statement_timeout;
-- And costs as much.
CREATE FUNCTION pg_temp.cost(query text) RETURNS float LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END $$;
SET max_parallel_workers_per_gather = 0;
SELECT pg_temp.cost($$ SELECT bert_embed('ghost') FROM films $$) BETWEEN 1000 AND 10000,
       pg_temp.cost($$ SELECT title FROM films WHERE embedding = bert_embed('ghost') $$) BETWEEN 1000 AND 10000,
       pg_temp.cost($$ SELECT title FROM films WHERE bert_tags('ghost', top_k => 2) = '{}' $$) BETWEEN 1000 AND 10000,
       pg_temp.cost($$ SELECT bert_embed(plot) FROM films $$) > 1000000,
       pg_temp.cost($$ SELECT bert_tags('ghost', top_k => year) FROM films $$) > 1000000;
SET max_parallel_workers_per_gather = 2;

-- The same bits from the workers.
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT title, bert_embed(title) AS vector, bert_tags(title) AS tags FROM films;
CREATE TABLE answers AS SELECT title, bert_embed(title) AS vector, bert_tags(title) AS tags FROM films;
SET max_parallel_workers_per_gather = 0;
SELECT count(*), bool_and(pg_temp.bits(vector) = pg_temp.bits(bert_embed(title))) AND bool_and(tags = bert_tags(title)) FROM answers;
SELECT count(*), bool_and(pg_temp.bits(a.vector) = pg_temp.bits(all_at_once[n:n]))
  FROM (SELECT *, row_number() OVER (ORDER BY title) AS n FROM answers) AS a,
       (SELECT bert_embed(array_agg(title ORDER BY title)) AS all_at_once FROM answers) AS o
 WHERE n % 50 = 0;
DROP TABLE films, answers;
\i :unload
