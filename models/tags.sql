-- tags.sql - the tags of models/moviebert.safetensors, and the labelled texts that teach them: the view ship_labelled.
--
-- Tags are the 21 genres, and those TMDB keywords that enough films have and that a reader could tell from a plot.  Names that
-- say the same are one tag.  Left out: what no plot tells ("duringcreditsstinger", "woman director", "sequel", "based on
-- ..."), moods ("amused", "awestruck"), and keywords that repeat a genre ("musical", "war").
--
-- scope: the tags whose absence means something in this row.  Keywords are unknown, not absent, where a source has none or only
-- the first few.  A genre that a row lacks is absent, as every measure on these rows takes it.

DROP VIEW IF EXISTS ship_labelled;
DROP TABLE IF EXISTS ship_keyword;
CREATE TABLE ship_keyword (keyword text PRIMARY KEY, tag text NOT NULL);
INSERT INTO ship_keyword SELECT k, k FROM unnest(ARRAY[
	'murder', 'revenge', 'dystopia', 'superhero', 'friendship', 'love', 'high school', 'serial killer', 'magic', 'martial arts',
	'alien', 'kidnapping', 'coming of age', 'prison', 'detective', 'world war ii', 'time travel', 'small town', 'monster', 'spy',
	'survival', 'dog', 'conspiracy', 'corruption', 'wedding', 'escape', 'psychopath', 'lgbt', 'witch', 'supernatural', 'ghost',
	'suicide', 'gangster', 'jealousy', 'scientist', 'zombie', 'money', 'rape', 'rescue', 'drugs', 'airplane', 'island', 'torture',
	'vampire', 'road trip', 'college', 'infidelity', 'lawyer', 'soldier', 'desert', 'demon', 'heist', 'teacher', 'space',
	'journalist', 'forest', 'hostage', 'halloween', 'prostitution', 'police', 'fbi', 'cia', 'hitman', 'teenager', 'secret identity',
	'loss of loved one', 'london', 'new york city', 'los angeles', 'father son relationship', 'mother daughter relationship',
	'father daughter relationship', 'siblings', 'christmas', 'party', 'hospital', 'future', 'death', 'slasher', 'investigation',
	'shootout', 'transformation']) AS k;
INSERT INTO ship_keyword VALUES
	('super power', 'superhero'), ('new york', 'new york city'), ('los angeles, california', 'los angeles'),
	('london england', 'london'), ('london, england', 'london'), ('dying and death', 'death'), ('supernatural horror', 'supernatural'),
	('best friend', 'friendship'), ('friends', 'friendship'), ('adultery', 'infidelity'), ('robbery', 'heist'), ('drug', 'drugs'),
	('assassin', 'hitman'), ('marvel comic', 'superhero'), ('brother brother relationship', 'siblings'),
	('sibling relationship', 'siblings'), ('prostitute', 'prostitution'), ('outer space', 'space'), ('spacecraft', 'space'),
	('gay', 'lgbt'), ('lesbian', 'lgbt'), ('haunting', 'ghost'), ('haunted house', 'ghost'), ('witchcraft', 'witch'),
	('bank robbery', 'heist'), ('alien invasion', 'alien'), ('extraterrestrial', 'alien'), ('extramarital affair', 'infidelity'),
	('teenage girl', 'teenager'), ('teenage boy', 'teenager'), ('marriage', 'wedding'), ('secret agent', 'spy'),
	('espionage', 'spy'), ('kung fu', 'martial arts'), ('mafia', 'gangster'), ('organized crime', 'gangster'), ('mobster', 'gangster'),
	('drug dealer', 'drugs'), ('drug addiction', 'drugs'), ('drug dealing', 'drugs'), ('private detective', 'detective'),
	('police detective', 'police'), ('police officer', 'police'), ('cop', 'police'), ('contract killer', 'hitman'),
	('prison escape', 'prison'), ('prisoner', 'prison'), ('vigilante', 'revenge'), ('post-apocalyptic future', 'dystopia'),
	('reporter', 'journalist'), ('attorney', 'lawyer'), ('serial murderer', 'serial killer');

CREATE VIEW ship_labelled AS
SELECT l.id, l.film, l.fold, l.source, l.text, l.genres,
       l.genres || ARRAY(SELECT DISTINCT tag FROM unnest(l.keywords) AS k (keyword) JOIN ship_keyword USING (keyword) ORDER BY tag) AS tags,
       g.genres || CASE WHEN l.keywords IS NOT NULL AND NOT l.keywords_truncated
            THEN ARRAY(SELECT DISTINCT tag FROM ship_keyword ORDER BY tag) ELSE '{}' END AS scope
  FROM study_labelled AS l, (SELECT array_agg(DISTINCT genre ORDER BY genre) AS genres FROM study_labelled, unnest(genres) AS genre) AS g
 WHERE l.genres <> '{}'
UNION ALL
-- Film articles, whose first sentence told the genres: of films in folds 3 to 9.
SELECT 'article ' || a.number, a.film, a.fold, 'article', a.text, a.genres, a.genres, g.genres
  FROM study_article AS a, (SELECT array_agg(DISTINCT genre ORDER BY genre) AS genres FROM study_labelled, unnest(genres) AS genre) AS g;
