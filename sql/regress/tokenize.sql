-- bert_tokenize, bert_token_count, bert_similarity.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set load :tree '/test/golden/sql/load.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\t on
\a
\i :load
\set ECHO all
SELECT bert_default_model('tagger');

SELECT * FROM bert_tokenize('The ghosts haunted a CAFÉ!');
SELECT string_agg(token, ' ' ORDER BY position) FROM bert_tokenize('Zyzzyva, ghost-ship 42', 'plain');
SELECT string_agg(token, ' ' ORDER BY position), count(DISTINCT id) FROM bert_tokenize('a [SEP] b 日本 ' || repeat('x', 101));
SELECT * FROM bert_tokenize('');
SELECT count(*) FROM bert_tokenize(NULL);
SELECT bert_token_count(''), bert_token_count('The ghosts haunted a CAFÉ!'), bert_token_count('ghost', 'plain'), bert_token_count(NULL);
SELECT bert_token_count(t) = (SELECT count(*) FROM bert_tokenize(t)), max(position) FROM repeat('ghost, ', 30000) AS t, bert_tokenize(t) GROUP BY t;
SELECT (bert_tokenize(t)).token FROM (VALUES ('ghost'), ('robot')) AS v (t);
SELECT pg_temp.failure($$ SELECT bert_tokenize('x', 'nobody') $$) ~ '^42704 .*nobody';

-- One token for each of too many exclamation marks.
SELECT pg_temp.failure($$ SELECT count(*) FROM bert_tokenize(repeat('!', 4 * 1024 * 1024 + 1)) $$);
SELECT pg_temp.failure($$ SELECT bert_embed(repeat('!', 4 * 1024 * 1024 + 1)) $$);
SELECT pg_temp.failure($$ SELECT bert_embed(ARRAY['a', repeat('!', 4 * 1024 * 1024 + 1)]) $$);
SELECT bert_token_count(repeat('!', 4 * 1024 * 1024 + 1));
-- A model that truncates reads the beginning.
SELECT bert_embed(repeat('!', 100000), 'genre') = bert_embed(repeat('!', 30), 'genre');

SELECT bert_similarity('{1,0}', '{1,0}'), bert_similarity('{1,0}', '{0,2}'), bert_similarity('{1,2}', '{-2,-4}'), bert_similarity('{3,4}', '{4,3}');
SELECT bert_similarity('{1e38,1e38}', '{1e38,1e38}'), bert_similarity('{1e-38}', '{1e-38}');
SELECT bert_similarity(NULL, '{1}') IS NULL, bert_similarity('{1}', NULL) IS NULL;
SELECT bert_similarity('[0:1]={1,2}', '{1,2}');
-- No direction: 0, which does not come first.
SELECT bert_similarity('{0,0}', '{1,2}'), bert_similarity('{0,0}', '{0,0}'), bert_similarity('{}', '{}');
SELECT v FROM (VALUES ('{0,0}'::real[]), ('{1,2}'), ('{-1,-1}')) AS t (v) ORDER BY bert_similarity(v, '{1,1}') DESC;
SELECT round(bert_similarity(bert_embed(a), bert_embed(a))::numeric, 6) FROM (VALUES ('ghost'), ('')) AS t (a);
SELECT pg_temp.failure($$ SELECT bert_similarity('{1,2,3}', '{1,2}') $$);
SELECT pg_temp.failure($$ SELECT bert_similarity('{}', '{1,2}') $$);
SELECT pg_temp.failure($$ SELECT bert_similarity('{1,NULL}', '{1,2}') $$);
SELECT pg_temp.failure($$ SELECT bert_similarity('{1,2}', '{NULL,2}') $$);
SELECT pg_temp.failure($$ SELECT bert_similarity('{1,NaN}', '{1,2}') $$);
SELECT pg_temp.failure($$ SELECT bert_similarity('{1,2}', '{1,-Infinity}') $$);
SELECT pg_temp.failure($$ SELECT bert_similarity('{{1,2},{3,4}}', '{1,2,3,4}') $$);
\i :unload
