-- Models: loading, names, the default, dropping; what is refused, and how.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set tagger :tree '/test/golden/sql/tagger.safetensors'
\set load :tree '/test/golden/sql/load.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\i :load
\set ECHO all

SELECT bert_version() = extversion FROM pg_extension WHERE extname = 'moviebert';

-- What the view says.
SELECT name, kind, architecture, dimensions, max_length, pooling, normalize, long_text, window_stride, problem, tags, thresholds, is_default
  FROM bert_models ORDER BY name;
SELECT name, parameters > 5000 AS parameters, size = (SELECT sum(length(data)) FROM bert_model_chunk c WHERE c.sha256 = m.sha256) AS size,
       sha256 = (SELECT encode(sha256(string_agg(data, '' ORDER BY seq)), 'hex') FROM bert_model_chunk c WHERE c.sha256 = m.sha256) AS sha256,
       created > now() - interval '1 hour' AS created, jsonb_typeof(card)
  FROM bert_models m ORDER BY name;

-- From bytes as from a file; another name for the same contents; the same again.
SELECT bert_load_model('twin', pg_read_binary_file(:'tagger')) = (SELECT sha256 FROM bert_models WHERE name = 'tagger');
SELECT count(*) AS models, count(DISTINCT sha256) AS files, (SELECT count(DISTINCT sha256) FROM bert_model_chunk) AS stored FROM bert_models;
SELECT bert_embed('ghost', 'twin') = bert_embed('ghost', 'tagger');
SELECT bert_load_model('twin', pg_read_binary_file(:'tagger')) IS NOT NULL;
SELECT regexp_replace(pg_temp.failure(format('SELECT bert_load_model(%L, pg_read_binary_file(%L))', 'plain', :'tagger')), '[0-9a-f]{16}\.\.\.', 'HASH', 'g');

-- Names.
SELECT bert_load_model(repeat('x', 255), pg_read_binary_file(:'tagger')) IS NOT NULL;
SELECT cardinality(bert_embed('ghost', repeat('x', 255)));
SELECT bert_load_model('It''s "a" name, ' || chr(10) || 'überall', pg_read_binary_file(:'tagger')) IS NOT NULL;
SELECT cardinality(bert_embed('ghost', name)) FROM bert_models WHERE name LIKE 'It%';
SELECT bert_drop_model(name) FROM bert_models WHERE name LIKE 'It%' OR name LIKE 'xxx%';
SELECT pg_temp.failure(format('SELECT bert_load_model(%L, %L::bytea)', n, '')) FROM (VALUES (''), (NULL), (repeat('x', 256))) AS v (n);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', NULL::bytea) $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', NULL::text) $$);

-- Files that are none.
SELECT pg_temp.failure($$ SELECT bert_load_model('n', ''::bytea) $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', 'not a model file'::bytea) $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', '/nowhere/model.safetensors') $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', 'base') $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', 'PG_VERSION') $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', '/dev/zero') $$);
SELECT count(*) FROM bert_models WHERE name = 'n';

-- Registering chunks that were put there before, as the tool does.
BEGIN;
CREATE TEMP TABLE kept AS SELECT c.* FROM bert_model_chunk c JOIN bert_model m USING (sha256) WHERE m.name = 'plain';
SELECT bert_drop_model('plain');
SELECT count(*) FROM bert_model_chunk JOIN kept USING (sha256);
INSERT INTO bert_model_chunk SELECT * FROM kept;
SELECT bert_register_model('registered', sha256) = sha256 FROM kept;
SELECT cardinality(bert_embed('ghost', 'registered'));
SELECT bert_register_model('registered', sha256) = sha256 FROM kept;
ROLLBACK;
SELECT pg_temp.failure($$ SELECT bert_register_model('r', 'abc') $$);
SELECT pg_temp.failure($$ SELECT bert_register_model('r', NULL) $$);
SELECT pg_temp.failure($$ SELECT bert_register_model('r', repeat('AB', 32)) $$);
SELECT pg_temp.failure($$ SELECT bert_register_model('r', repeat('ab', 32)) $$);
INSERT INTO bert_model_chunk VALUES (repeat('ab', 32), 0, 'some bytes');
SELECT pg_temp.failure($$ SELECT bert_register_model('r', repeat('ab', 32)) $$);
UPDATE bert_model_chunk SET seq = 1 WHERE sha256 = repeat('ab', 32);
SELECT pg_temp.failure($$ SELECT bert_register_model('r', repeat('ab', 32)) $$);
DELETE FROM bert_model_chunk WHERE sha256 = repeat('ab', 32);
INSERT INTO bert_model_chunk SELECT encode(sha256(x), 'hex'), 0, x FROM (VALUES ('some bytes'::bytea)) AS v (x);
SELECT pg_temp.failure(format('SELECT bert_register_model(%L, %L)', 'r', encode(sha256('some bytes'), 'hex')));
DELETE FROM bert_model_chunk WHERE data = 'some bytes';
SELECT count(*) FROM bert_models WHERE name = 'r';

-- Chunks left behind by hand are used if they are right, and refused if they are not.
BEGIN;
DELETE FROM bert_model WHERE name IN ('tagger', 'twin');
SELECT bert_load_model('again', pg_read_binary_file(:'tagger')) IS NOT NULL;
ROLLBACK;
BEGIN;
DELETE FROM bert_model WHERE name IN ('tagger', 'twin');
UPDATE bert_model_chunk SET data = '' WHERE sha256 = (SELECT encode(sha256(pg_read_binary_file(:'tagger')), 'hex'));
SELECT regexp_replace(pg_temp.failure(format('SELECT bert_load_model(%L, pg_read_binary_file(%L))', 'again', :'tagger')), '[0-9a-f]{16}\.\.\.', 'HASH', 'g');
ROLLBACK;

-- The default.
SELECT bert_default_model();
SELECT pg_temp.failure($$ SELECT bert_embed('ghost') $$);
SELECT bert_default_model('plain');
SELECT bert_default_model(), bert_embed('ghost') = bert_embed('ghost', 'plain');
SELECT bert_default_model('tagger');
SELECT bert_default_model(), bert_embed('ghost') = bert_embed('ghost', 'tagger');
SELECT name FROM bert_models WHERE is_default;
SELECT pg_temp.failure($$ SELECT bert_default_model('nothing') $$);
SELECT bert_default_model();
SELECT bert_default_model(NULL);
SELECT bert_default_model();
SELECT bert_default_model('tagger');

-- The setting is a name that is looked up when it is used.
SET moviebert.model = 'plain';
SELECT bert_embed('ghost') = bert_embed('ghost', 'plain');
SET moviebert.model = 'nothing';
SELECT pg_temp.failure($$ SELECT bert_embed('ghost') $$);
SELECT cardinality(bert_embed('ghost', 'plain'));
SET moviebert.model = '';
SELECT bert_embed('ghost') = bert_embed('ghost', 'tagger');
RESET moviebert.model;
SELECT bert_embed('ghost') = bert_embed('ghost', 'tagger');
SELECT set_config('moviebert.model', repeat('x', 1000), false) IS NOT NULL;
SELECT starts_with(pg_temp.failure($$ SELECT bert_embed('ghost') $$), format('42704 model "%s" does not exist', repeat('x', 1000)));
RESET moviebert.model;
SELECT pg_temp.failure($$ SET moviebert.modle = 'plain' $$);
SELECT pg_temp.failure($$ SELECT bert_embed('ghost', '') $$);
SELECT pg_temp.failure($$ SELECT bert_embed('ghost', repeat('x', 256)) $$) ~ '^42704 ';

-- By hand.  A name never changes its weights, except where logical replication says so.
SELECT pg_temp.failure($$ UPDATE bert_model SET name = 'renamed' WHERE name = 'plain' $$);
SELECT pg_temp.failure($$ UPDATE bert_model SET sha256 = repeat('ab', 32) WHERE name = 'plain' $$);
SELECT pg_temp.failure($$ UPDATE bert_model SET size = 1 WHERE name = 'plain' $$);
SELECT pg_temp.failure($$ UPDATE bert_model SET name = name, sha256 = sha256, size = size, created = now() WHERE name = 'plain' $$);
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE bert_model SET name = 'renamed' WHERE name = 'plain';
SELECT cardinality(bert_embed('ghost', 'renamed'));
SELECT pg_temp.failure($$ SELECT bert_embed('ghost', 'plain') $$);
SELECT split_part(pg_temp.failure($$ UPDATE bert_model SET name = '' WHERE name = 'tagger' $$), E'\n', 1);
SELECT split_part(pg_temp.failure($$ UPDATE bert_model SET sha256 = 'x' WHERE name = 'tagger' $$), E'\n', 1);
ROLLBACK;
SELECT cardinality(bert_embed('ghost', 'plain'));
SELECT pg_temp.failure($$ INSERT INTO bert_default VALUES (true, 'plain') $$);
SELECT pg_temp.failure($$ INSERT INTO bert_default VALUES (false, 'plain') $$);
SELECT pg_temp.failure($$ SELECT bert_model_changed() $$);
SELECT pg_temp.failure($$ SELECT bert_model_fixed() $$);

-- Tables that somebody has altered.
BEGIN;
ALTER TABLE bert_model ALTER sha256 DROP NOT NULL;
SELECT pg_temp.failure($$ SELECT bert_embed('ghost', 'plain') $$);
ROLLBACK;
BEGIN;
ALTER TABLE bert_model RENAME shipped TO ours;
SELECT pg_temp.failure($$ SELECT bert_default_model() $$);
ROLLBACK;
BEGIN;
ALTER TABLE bert_default ALTER model TYPE varchar;
SELECT pg_temp.failure($$ SELECT bert_default_model() $$);
ROLLBACK;
BEGIN;
ALTER TABLE bert_model_chunk ALTER seq TYPE bigint;
SELECT pg_temp.failure($$ SELECT bert_drop_model('plain') $$);
ROLLBACK;
BEGIN;
ALTER TABLE bert_model_chunk ALTER sha256 TYPE text COLLATE "POSIX";
SELECT pg_temp.failure($$ SELECT bert_drop_model('plain') $$);
ROLLBACK;
BEGIN;
ALTER TABLE bert_model ADD note text;
UPDATE bert_model SET note = 'more columns do no harm';
SELECT cardinality(bert_embed('ghost', 'plain'));
ROLLBACK;
SELECT cardinality(bert_embed('ghost', 'plain'));

-- A row that stays as it is.
BEGIN;
CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER no BEFORE UPDATE OR DELETE ON bert_model FOR EACH ROW EXECUTE FUNCTION pg_temp.no();
SELECT pg_temp.failure($$ SELECT bert_drop_model('plain') $$);
CREATE TRIGGER no BEFORE INSERT OR UPDATE ON bert_default FOR EACH ROW EXECUTE FUNCTION pg_temp.no();
SELECT pg_temp.failure($$ SELECT bert_default_model('plain') $$);
ROLLBACK;

-- Dropping.  The file goes with its last name.
SELECT bert_drop_model('tagger');
SELECT bert_default_model();
SELECT bert_register_model('tagger', sha256) IS NOT NULL, bert_default_model() FROM bert_models WHERE name = 'twin';
SELECT bert_drop_model('tagger');
SELECT cardinality(bert_embed('ghost', 'twin'));
SELECT bert_drop_model('twin');
SELECT count(DISTINCT sha256) FROM bert_model_chunk;
SELECT pg_temp.failure($$ SELECT bert_embed('ghost', 'twin') $$);
SELECT pg_temp.failure($$ SELECT bert_drop_model('twin') $$);
SELECT pg_temp.failure($$ SELECT bert_drop_model(NULL) $$);

-- In a transaction that only reads.
BEGIN READ ONLY;
SELECT cardinality(bert_embed('ghost', 'plain'));
SELECT pg_temp.failure($$ SELECT bert_load_model('n', ''::bytea) $$);
SELECT pg_temp.failure($$ SELECT bert_load_model('n', 'PG_VERSION') $$);
SELECT pg_temp.failure($$ SELECT bert_register_model('n', repeat('ab', 32)) $$);
SELECT pg_temp.failure($$ SELECT bert_drop_model('plain') $$);
SELECT pg_temp.failure($$ SELECT bert_default_model('plain') $$);
COMMIT;

-- search_path does not matter.
CREATE SCHEMA trap;
CREATE TABLE trap.bert_model (name text, sha256 text, size bigint);
CREATE TABLE trap.bert_model_chunk (sha256 text, seq integer, data bytea);
CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
SET search_path = trap, pg_catalog;
SELECT public.bert_default_model('plain');
SELECT public.bert_default_model(), cardinality(public.bert_embed('ghost'));
SELECT public.bert_drop_model('rating');
SET search_path = '';
SELECT public.bert_default_model(), pg_catalog.cardinality(public.bert_embed('ghost'));
RESET search_path;
SELECT name, is_default FROM bert_models ORDER BY name;
\set VERBOSITY terse
DROP SCHEMA trap CASCADE;
\set VERBOSITY default

\i :unload
