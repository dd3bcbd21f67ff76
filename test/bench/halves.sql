-- halves.sql - does the first half of a text find its second half among 2,000?
--
--   psql -X -q -v model=moviebert-1 -f test/bench/halves.sql
--
-- In a database with the extension, the model, and the rows that training/study/load.sh loads: texts of fold 2 with at least 40
-- words, one of a film, at most 2,000.  Beside it, what word counts find (TF-IDF of PostgreSQL's own English stems), and how many
-- halves share no stem: what no word could find.

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

-- Cosines of TF-IDF vectors, of pairs that share a stem; what a tenth of the texts has tells too little to be looked at.
CREATE TEMP TABLE stem AS
SELECT film, side, lexeme, (1 + ln(cardinality(positions))) * ln(2.0 * texts / count(*) OVER same) AS weight
  FROM half, LATERAL (VALUES ('query', first), ('answer', second)) AS s (side, body), unnest(to_tsvector('english', body)),
       (SELECT count(*) AS texts FROM half) AS n
WINDOW same AS (PARTITION BY lexeme);
DELETE FROM stem WHERE lexeme IN (SELECT lexeme FROM stem GROUP BY lexeme HAVING count(*) > (SELECT count(*) / 5 FROM half));
UPDATE stem SET weight = weight / length
  FROM (SELECT film, side, sqrt(sum(weight ^ 2)) AS length FROM stem GROUP BY film, side) AS l
 WHERE l.film = stem.film AND l.side = stem.side;
ANALYZE stem;
CREATE TEMP TABLE shared AS
SELECT q.film, a.film AS other, sum(q.weight * a.weight) AS cosine
  FROM stem AS q JOIN stem AS a USING (lexeme) WHERE q.side = 'query' AND a.side = 'answer' GROUP BY q.film, a.film;

WITH own AS (
	SELECT v.film, v.n, v.apart, coalesce(s.cosine, 0) AS cosine
	  FROM vector AS v LEFT JOIN shared AS s ON s.film = v.film AND s.other = v.film),
ranked AS (
	SELECT :'model' AS what, q.film, q.n, q.apart,
	       count(*) FILTER (WHERE bert_similarity(q.query, a.answer) > bert_similarity(q.query, q.answer)) AS nearer
	  FROM vector AS q, vector AS a GROUP BY q.film, q.n, q.apart
	UNION ALL
	-- Without a shared stem a text's own half is one of many that have none.
	SELECT 'stems, TF-IDF', o.film, o.n, o.apart, CASE WHEN o.cosine = 0 THEN 1000 ELSE count(*) FILTER (WHERE s.cosine > o.cosine) END
	  FROM own AS o LEFT JOIN shared AS s ON s.film = o.film GROUP BY o.film, o.n, o.apart, o.cosine)
SELECT texts, what, count(*) AS pairs, round(avg((nearer < 1)::integer), 3) AS "recall@1", round(avg((nearer < 10)::integer), 3) AS "recall@10",
       round(avg(apart::integer), 3) AS "share no stem"
  FROM ranked, LATERAL (VALUES ('all'), (CASE WHEN n >= 100 THEN '100 words and more' END)) AS t (texts)
 WHERE texts IS NOT NULL GROUP BY texts, what ORDER BY texts DESC, what;
