-- articles.sql - labels out of film articles: what the first sentence calls the film ("is a 1958 American science fiction
-- horror film") are its genres; the sentence itself is cut off, and so are those that only say who made and played it.
-- Films of folds 0 to 2 are left out, and so are texts that share runs of words with a text of folds 1 and 2.

CREATE TABLE study_genre_word (genre text, pattern text);
INSERT INTO study_genre_word VALUES
	('action', 'action|superhero|martial arts|kung fu'), ('adventure', 'adventure|swashbuckler'),
	('animation', 'animated|animation|anime|cartoon|stop-motion'), ('biography', 'biographical|biopic|biography'),
	('comedy', 'comedy|comedies|comedic|dramedy|tragicomedy|farce|satire|satirical|parody|rom-?com|slapstick|screwball'),
	('crime', 'crime|gangster|heist|caper|police procedural'), ('documentary', 'documentary|docudrama|mockumentary'),
	('drama', 'drama|dramas|dramedy|melodrama|docudrama|tragicomedy'), ('family', 'family|children''s'),
	('fantasy', 'fantasy|fairy tale'), ('film-noir', 'noir|neo-noir'), ('history', 'historical|period drama'),
	('horror', 'horror|slasher|zombie|vampire'), ('music', 'musical|concert|music'), ('mystery', 'mystery|whodunit|detective'),
	('romance', 'romance|romantic|rom-?com'), ('sci-fi', 'science fiction|science-fiction|sci-fi|dystopian|post-apocalyptic'),
	('sport', 'sports|sport|boxing|baseball'), ('thriller', 'thriller|suspense'), ('war', 'war'), ('western', 'western');

CREATE TABLE study_article AS
WITH parts AS (
	SELECT number, film, fold, regexp_match(text, '^(.+?[.!?]["'']?)\s+(?=["''A-Z0-9])(.*)$') AS cut, text
	  FROM study_text WHERE kind = 'film article' AND fold > 2),
named AS (
	SELECT number, film, fold, cut[2] AS rest,
	       regexp_replace(substring(cut[1] FROM '(?:is|was) an? (?:upcoming |lost )?(?:1[89]|20)\d\d (.*)$'),
	                      '\y(directed|written|produced|starring|about|based|that|which|from)\y.*$', '') AS what
	  FROM parts WHERE cut IS NOT NULL)
SELECT number, film, fold,
       ARRAY(SELECT genre FROM study_genre_word WHERE what ~* ('\y(' || pattern || ')\y') ORDER BY genre) AS genres,
       btrim(regexp_replace(rest,
         '(^|(?<=[.!?] ))((The film|It|The movie|The picture|He|She) (stars?|was (directed|produced|written|released|shot|filmed|distributed)|premiered)|Directed|Starring|Produced)[^.!?]*[.!?]+ ?',
         '', 'g')) AS text
  FROM named;
DELETE FROM study_article WHERE genres = '{}' OR cardinality(regexp_split_to_array(text, '\s+')) < 15;

CREATE TABLE study_held AS
SELECT DISTINCT s FROM study_labelled, study_shingles(text, 8) AS s WHERE fold IN (1, 2);
CREATE UNIQUE INDEX ON study_held (s);
DELETE FROM study_article AS a USING (
	SELECT number FROM study_article, LATERAL (SELECT count(*) AS n, count(h.s) AS held FROM study_shingles(text, 8) AS x (s) LEFT JOIN study_held AS h USING (s)) AS o
	 WHERE held >= 12 OR held > 0.3 * n) AS copies
 WHERE a.number = copies.number;
