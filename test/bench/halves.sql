-- halves.sql - does the first half of a text find its second half among 2,000?
--
--   psql -X -q -v model=moviebert-1 -f test/bench/halves.sql
--
-- In a database with the extension, the model, and the rows that training/study/load.sh loads: texts of fold 2 with at least 40
-- words, one of a film, at most 2,000.  Beside it, how many halves share no stem: what no word could find.

SET work_mem = '256MB';
CREATE TEMP TABLE half AS
SELECT film, cardinality(words) AS n, array_to_string(words[:cardinality(words) / 2], ' ') AS first,
       array_to_string(words[cardinality(words) / 2 + 1:], ' ') AS second
  FROM (SELECT DISTINCT ON (film) film, (regexp_split_to_array(btrim(text), '\s+'))[:340] AS words
          FROM study_labelled
         WHERE fold = 2 AND genres <> '{}' AND cardinality(regexp_split_to_array(btrim(text), '\s+')) >= 40
         ORDER BY film, md5(id)) AS text
 ORDER BY md5(film) LIMIT 2000;

CREATE TEMP TABLE vector AS
SELECT film, n, bert_embed(first, :'model') AS query, bert_embed(second, :'model') AS answer,
       NOT tsvector_to_array(to_tsvector('english', first)) && tsvector_to_array(to_tsvector('english', second)) AS apart
  FROM half;

WITH ranked AS (
	SELECT q.film, q.n, q.apart, count(*) FILTER (WHERE bert_similarity(q.query, a.answer) > bert_similarity(q.query, q.answer)) AS nearer
	  FROM vector AS q, vector AS a GROUP BY q.film, q.n, q.apart)
SELECT texts, count(*) AS pairs, round(avg((nearer < 1)::integer), 3) AS "recall@1", round(avg((nearer < 10)::integer), 3) AS "recall@10",
       round(avg(apart::integer), 3) AS "share no stem"
  FROM ranked, LATERAL (VALUES ('all'), (CASE WHEN n >= 100 THEN '100 words and more' END)) AS t (texts)
 WHERE texts IS NOT NULL GROUP BY texts ORDER BY texts DESC;
