-- setup.sql - the films get a column for the recommended tags and one for the embedding, and triggers that keep both.
-- The variable "model" names the model of the embeddings: those of two models do not compare.  Tags are the default's.
ALTER TABLE movies
	ADD COLUMN IF NOT EXISTS recommended text[],
	ADD COLUMN IF NOT EXISTS embedding real[];

\set model_argument 'model=' :model
CREATE OR REPLACE TRIGGER movies_recommend BEFORE INSERT OR UPDATE ON movies
	FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('recommended', 'plot');
CREATE OR REPLACE TRIGGER movies_embed BEFORE INSERT OR UPDATE ON movies
	FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('embedding', 'plot', :'model_argument');
