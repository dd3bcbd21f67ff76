-- unload.sql - takes away what load.sql put there.
DO $$ BEGIN PERFORM bert_drop_model(name) FROM bert_models WHERE name IN ('tagger', 'genre', 'rating', 'plain'); END $$;
