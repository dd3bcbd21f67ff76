-- The model that CREATE EXTENSION brings: the default until another is chosen, and not in the way of what a dump brings.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set load :tree '/test/golden/sql/load.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\set file :tree '/models/moviebert.safetensors'
\set readme :tree '/models/README.md'
\i :load
\set ECHO all

DROP EXTENSION moviebert;
CREATE EXTENSION moviebert;
SELECT name, is_default, problem, cardinality(tags) > 0 AS tags, jsonb_typeof(card) FROM bert_models;
SELECT cardinality(bert_tags('A detective hunts a murderer through the rain.', 3)) BETWEEN 1 AND 3,
       bert_embed('a ghost') = bert_embed('a ghost', 'moviebert-1');

-- It is the file of this tree, of a size to be shipped, and as models/README.md says; any encoding can hold its texts.
SELECT sha256 = encode(sha256(pg_read_binary_file(:'file')), 'hex') AS file, size <= 16 * 1024 * 1024 AS small,
       strpos(pg_read_file(:'readme'), '`' || sha256 || '`') > 0 AS hash_in_readme,
       strpos(pg_read_file(:'readme'), to_char(size, 'FM999,999,999') || ' bytes') > 0 AS size_in_readme,
       (tags::text || card::text) !~ '[^[:ascii:]]' AS ascii
  FROM bert_models;
SELECT shipped, sum(length(data)) = (SELECT size FROM bert_models) AS whole FROM bert_model_chunk GROUP BY shipped;

-- The default is what was chosen, and without a choice the latest that was shipped.
\i :load
SELECT name, is_default FROM bert_models ORDER BY name;
SELECT bert_load_shipped_model();
SELECT bert_default_model();
DELETE FROM bert_default;
SELECT bert_default_model();
SELECT bert_default_model('plain');
SELECT bert_default_model(), bert_embed('ghost') = bert_embed('ghost', 'plain');
SELECT bert_default_model(NULL);
SELECT bert_default_model();
SELECT pg_temp.failure($$ SELECT bert_embed('ghost') $$);
SELECT bert_default_model('moviebert-1');
SELECT bert_default_model();
BEGIN;
DELETE FROM bert_default;
INSERT INTO bert_model SELECT (jsonb_populate_record(m, '{"name": "moviebert-2", "shipped": 2}')).* FROM bert_model m WHERE name = 'plain';
SELECT bert_default_model(), bert_embed('ghost') = bert_embed('ghost', 'plain');
SELECT cardinality(bert_embed('ghost', 'moviebert-1')) > 0;
SELECT bert_default_model('moviebert-1');
SELECT bert_default_model();
TRUNCATE bert_default;
SELECT bert_default_model();
ROLLBACK;

-- Its bytes are shipped, unless another name needs them too: then a dump must have them.  INSERT is enough for that name.
CREATE ROLE regress_bert_manager;
GRANT INSERT ON bert_model, bert_model_chunk TO regress_bert_manager;
SELECT sha256 FROM bert_models WHERE name = 'moviebert-1' \gset
SELECT DISTINCT shipped FROM bert_model_chunk WHERE sha256 = :'sha256';
SET ROLE regress_bert_manager;
SELECT bert_register_model('mine', :'sha256') = :'sha256';
SELECT bert_load_shipped_model();
RESET ROLE;
SELECT DISTINCT shipped FROM bert_model_chunk WHERE sha256 = :'sha256';
SELECT bert_drop_model('moviebert-1');
SELECT cardinality(bert_embed('ghost', 'mine')) > 0, bert_default_model();
SET ROLE regress_bert_manager;
SELECT bert_load_shipped_model();
RESET ROLE;
SELECT DISTINCT shipped FROM bert_model_chunk WHERE sha256 = :'sha256';
SELECT bert_drop_model('mine');
SELECT DISTINCT shipped FROM bert_model_chunk WHERE sha256 = :'sha256';
SET ROLE regress_bert_manager;
SELECT pg_temp.failure($$ SELECT bert_drop_model('moviebert-1') $$);
RESET ROLE;
REVOKE ALL ON bert_model, bert_model_chunk FROM regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT pg_temp.failure($$ SELECT bert_load_shipped_model() $$);
RESET ROLE;
DROP ROLE regress_bert_manager;

-- It gives way to a model of its name that a dump brings; its own row from a publisher is nothing new.
BEGIN;
INSERT INTO bert_model SELECT * FROM bert_model WHERE name = 'moviebert-1';
SELECT shipped FROM bert_model WHERE name = 'moviebert-1';
INSERT INTO bert_model SELECT (jsonb_populate_record(m, '{"shipped": 0}')).* FROM bert_model m WHERE name = 'moviebert-1';
SELECT shipped FROM bert_model WHERE name = 'moviebert-1';
SELECT split_part(pg_temp.failure($$ INSERT INTO bert_model SELECT * FROM bert_model WHERE name = 'moviebert-1' $$), E'\n', 1);
ROLLBACK;
BEGIN;
INSERT INTO bert_model SELECT (jsonb_populate_record(m, '{"name": "moviebert-1"}')).* FROM bert_model m WHERE name = 'plain';
SELECT shipped, bert_embed('ghost', 'moviebert-1') = bert_embed('ghost', 'plain') FROM bert_model WHERE name = 'moviebert-1';
SELECT count(*) FROM bert_model_chunk WHERE sha256 = :'sha256';
ROLLBACK;
BEGIN;
SELECT pg_temp.failure(format($$ INSERT INTO bert_model SELECT (jsonb_populate_record(m, '{"sha256": "%s"}')).* FROM bert_model m WHERE name = 'moviebert-1' $$, repeat('ab', 32)));
ROLLBACK;

-- The same for chunks.
BEGIN;
INSERT INTO bert_model_chunk SELECT sha256, seq, data, true FROM bert_model_chunk WHERE sha256 = :'sha256';
SELECT DISTINCT shipped FROM bert_model_chunk WHERE sha256 = :'sha256';
INSERT INTO bert_model_chunk SELECT sha256, seq, data, false FROM bert_model_chunk WHERE sha256 = :'sha256';
SELECT DISTINCT shipped FROM bert_model_chunk WHERE sha256 = :'sha256';
SELECT split_part(pg_temp.failure(format('INSERT INTO bert_model_chunk SELECT * FROM bert_model_chunk WHERE sha256 = %L', :'sha256')), E'\n', 1);
ROLLBACK;

-- Functions of the extension's own triggers.
SELECT pg_temp.failure($$ SELECT bert_model_arrives() $$);
SELECT pg_temp.failure($$ SELECT bert_chunk_arrives() $$);
CREATE TEMP TABLE other (name int, sha256 int, size int, created int, shipped int);
CREATE TRIGGER arrives BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION bert_model_arrives();
SELECT pg_temp.failure($$ INSERT INTO other VALUES (1, 2, 3, 4, 5) $$);
DROP TRIGGER arrives ON other;
CREATE TRIGGER arrives BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION bert_chunk_arrives();
SELECT pg_temp.failure($$ INSERT INTO other VALUES (1, 2, 3, 4, 5) $$);
DROP TABLE other;

BEGIN READ ONLY;
SELECT pg_temp.failure($$ SELECT bert_load_shipped_model() $$);
COMMIT;
-- What pg_dump leaves out.
SELECT c::regclass, condition FROM pg_extension, unnest(extconfig, extcondition) AS u (c, condition) WHERE extname = 'moviebert';
\i :unload
