-- texts.sql - what models/moviebert.safetensors reads before it is taught tags: the views ship_general and ship_movies, and the
-- table ship_around, in a database that training/study/load.sh has filled.
--
-- Encyclopaedia, novels out of copyright, blurbs of catalogues, and TMDB's overviews, whose terms README.md tells.  No reviews,
-- nothing from IMDb, and no film of folds 0 to 2.

SET work_mem = '512MB';
DROP VIEW IF EXISTS ship_general, ship_movies;
DROP TABLE IF EXISTS ship_around;

CREATE VIEW ship_general AS
SELECT number AS key, text FROM study_text WHERE part = 'general' AND kind IN ('encyclopaedia', 'novel') ORDER BY number;

CREATE VIEW ship_movies AS
SELECT film AS key, text FROM study_text WHERE kind IN ('film article', 'film plot') AND fold > 2
UNION ALL
SELECT film, text FROM study_labelled WHERE fold > 2 AND (source LIKE 'tmdb%' OR source LIKE 'streaming%');

-- Pieces of at most 60 words, each with the stems of what stands in the pieces before and after it: to tell these from the piece is
-- to know what belongs together, which is what tags need, and is learnt sooner from whole texts than from masked words.
CREATE TEMP TABLE piece AS
WITH document AS MATERIALIZED (
	SELECT key, part, document, words, least(60, greatest(12, cardinality(words) / 2)) AS n
	  FROM (SELECT 'film ' || key AS key, 'movies' AS part, md5(text) AS document, regexp_split_to_array(text, '\s+') AS words FROM ship_movies
	        UNION ALL
	        SELECT 'text ' || key, 'general', md5(text), regexp_split_to_array(text, '\s+') FROM ship_general OFFSET 0) AS split
	 WHERE cardinality(words) >= 24)
SELECT row_number() OVER (ORDER BY key, document, i) AS number, key, part, array_to_string(words[i:i + n - 1], ' ') AS text,
       tsvector_to_array(to_tsvector('english', array_to_string(words[greatest(1, i - n):i - 1] || words[i + n:i + 2 * n - 1], ' '))) AS around
  FROM document, generate_series(1, cardinality(words) - n / 2, n) AS i;

-- Stems that say something: common enough in texts on films, and not common everywhere.
CREATE TEMP TABLE stem AS
SELECT word FROM piece, unnest(around) AS word WHERE word ~ '^[a-z]{3,}$'
 GROUP BY word HAVING count(*) < 20000 AND count(*) FILTER (WHERE part = 'movies') > 150;
ANALYZE stem;

CREATE TABLE ship_around AS
SELECT p.number, p.key, p.part, p.text, t.tags, hashtext(p.key || p.text) AS place
  FROM piece AS p
  JOIN (SELECT number, array_agg(word ORDER BY word) AS tags
          FROM (SELECT number, unnest(around) AS word FROM piece) AS each JOIN stem USING (word)
         GROUP BY number) AS t USING (number)
 ORDER BY p.number;
