-- setup.sql - the films get a column for the recommended tags and one for the embedding, and triggers that keep both.
ALTER TABLE movies ADD COLUMN recommended text[], ADD COLUMN embedding real[];

CREATE TRIGGER movies_recommend BEFORE INSERT OR UPDATE ON movies
	FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('recommended', 'plot');
CREATE TRIGGER movies_embed BEFORE INSERT OR UPDATE ON movies
	FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('embedding', 'plot');
