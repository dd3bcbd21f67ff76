-- tag.sql - tags and embeds the films that are there already.
UPDATE movies SET recommended = bert_tags(plot), embedding = bert_embed(plot, :'model');
