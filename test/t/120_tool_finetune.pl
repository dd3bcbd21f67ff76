# finetune and evaluate on rows whose tags can be learned: results, accounts of rows, determinism, errors.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('tool_finetune');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

# Words that mean a tag, and words that mean nothing: the tags of a plot are those of its words.
my %meaning = (
	ghost => 'horror', scream => 'horror',  grave => 'horror',  kiss => 'romance', wedding => 'romance', heart => 'romance',
	robot => 'sci-fi', planet => 'sci-fi', laser => 'sci-fi',  duel => 'western', saloon  => 'western', sheriff => 'western');
my @plain = qw(the a of in house door morning walks sees old young city night talks river);
TinyCheckpoint::write_checkpoint("$dir/tiny", words => [ sort(keys %meaning), @plain ]);
my $base = "$dir/tiny.safetensors";
my ($code, $out, $err) = tool('import', "$dir/tiny", '-o', $base);
is($code, 0, 'import') or diag($err);

my $random = TinyCheckpoint::generator(7);
sub pick { my $n = @_; return $_[ int(abs($random->() * 1000)) % $n ]; }
my @rows;
for my $i (1 .. 900)
{
	my %tags;
	my @words = map { pick(@plain) } 1 .. 6;
	for (1 .. 2)
	{
		next if $random->() > 0.5;
		my $word = pick(sort keys %meaning);
		push @words, $word;
		$tags{ $meaning{$word} } = 1;
	}
	$tags{'one, of a kind'} = 1 if $i % 300 == 0;
	my $tags = join ',', map { qq{"$_"} } sort keys %tags;
	push @rows, join("\t", $i, 'film ' . int($i / 2), join(' ', @words), "{$tags}");
}
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert; CREATE TABLE movies (id int, film text, plot text, tags text[])');
TinyCheckpoint::spew("$dir/rows.tsv", join("\n", @rows) . "\n");
$node->safe_psql('postgres', "\\copy movies FROM '$dir/rows.tsv'");
$node->safe_psql(
	'postgres', q{
	INSERT INTO movies VALUES (1001, 'x', NULL, '{horror}'), (1002, 'x', '  ', '{horror}'), (1003, 'x', 'the ghost', NULL),
		(1004, NULL, 'the ghost walks', '{horror,horror,NULL,""}')});

# Errors, each with what to do.
my $output = "$dir/tags.safetensors";
my @model  = ('--model', $base, '-o', $output, @where);
my $select = 'SELECT plot, tags, film FROM movies';
my $text_first;
for my $case (
	[ [ '-q', 'SELECT plot FROM movies' ], qr/no column for the tags.*Its columns are: "plot"/s, 'one column only' ],
	[   [ '-q', $select, '--text=plott' ],
		qr/no column "plott" for the text.*Its columns are: "plot", "tags", "film".*--text/s, 'absent text column' ],
	[ [ '-q', $select, '--tags=nope' ], qr/no column "nope" for the tags/, 'absent tags column' ],
	[ [ '-q', $select, '--tags=plot' ], qr/column "plot" is not an array of tags/, 'a named tags column of the wrong type' ],
	[ [ '-q', $select, '--key=nope' ], qr/no column "nope" for the key/, 'absent key column' ],
	[ [ '-q', 'SELECT id, tags FROM movies' ], qr/column "id" is not of type text\nDETAIL:  The column has type integer\.\n.*Cast it/s, 'text of the wrong type' ],
	[   [ '-q', 'SELECT plot, film FROM movies' ],
		qr/column "film" is not an array of tags\nDETAIL:  The column has type text\.\n.*string_to_array/s, 'tags of the wrong type' ],
	[   [ '-q', 'SELECT film, plot, tags FROM movies' ],
		qr/column "plot" is not an array of tags\nDETAIL:  The text is taken from "film", and the tags from "plot"\.\n.*--text and --tags.*--key/s, 'the key first' ],
	[ [ '-q', 'SELECT plot, tags, plot FROM movies', '--text=plot' ], qr/more than one column "plot"/, 'ambiguous column' ],
	[ [ '-q', 'SELECT plot, tags FROM moovies' ], qr/relation "moovies" does not exist/, 'absent table' ],
	[ [ '-q', 'SELECT plot, tags FROM movies; SELECT 1' ], qr/cannot insert multiple commands/, 'two commands' ],
	[ [ '-q', 'CREATE TABLE other (i int)' ], qr/returns no rows/, 'a command without rows' ],
	[ [ '-q', "$select WHERE id < 10" ], qr/too few rows to train on.*HINT/s, 'too few rows' ],
	[ [ '-q', "$select WHERE false" ], qr/too few rows to train on: 0/, 'no rows' ],
	[ [ '-q', $select, '--validation=0.001' ], qr/too few rows in the validation part/, 'too small a validation part' ],
	[   [ '-q', $select, '--min-support=5000' ],
		qr/no tag has 5000 training rows.*The most frequent tags are \w.*lower --min-support/s, 'no tag with support' ],
	[ [ '-q', q{SELECT plot, ' null '::json FROM movies} ], qr/902  left out: the tags are NULL/, 'JSON nulls' ],
	[ [ '-q', q{SELECT plot, '[1]'::json FROM movies} ], qr/not a string.*row 1 of the query/s, 'JSON that is no list of strings' ],
	[ [ '-q', q{SELECT plot, ARRAY[tags] FROM movies WHERE cardinality(tags) = 1} ], qr/more than one dimension/, 'array of arrays' ],)
{
	($code, $out, $err) = tool('finetune', '--freeze=all', @model, @{ $case->[0] });
	is($code, 1, "$case->[2]: exit code 1");
	like($err, $case->[1], "$case->[2]: message");
	ok(!-e $output, "$case->[2]: nothing is written");
}

# What cannot be written is found before anything else is looked at.
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$dir/absent/tags", '-q', $select, '-d', 'host=/nowhere');
is($code, 1, 'a folder that is not there: exit code 1');
like($err, qr/could not write into folder ".*absent"/, 'a folder that is not there: message');
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', $dir, '-q', $select, '-d', 'host=/nowhere');
like($err, qr/could not write ".*"\nDETAIL:  .*[Ii]s a directory/, 'a folder in the place of the file: message');

# The tool only reads, whichever query it is and wherever it writes.
for my $writes ('WITH gone AS (DELETE FROM movies RETURNING plot, tags) SELECT plot, tags FROM gone', 'UPDATE movies SET plot = plot RETURNING plot, tags')
{
	($code, $out, $err) = tool('finetune', '--freeze=all', @model, '-q', $select, '--test-query', $writes);
	is($code, 1, "$writes: exit code 1");
	like($err, qr/read-only transaction.*HINT:  The tool only reads/s, "$writes: message");
	ok(!-e $output, "$writes: nothing is written");
}
for my $command ([ 'finetune', '--freeze=all', @model ], [ 'evaluate', '--model', "$FindBin::RealBin/../../test/golden/sql/tagger.safetensors", @where ])
{
	($code, $out, $err) = tool(@$command, '-q', 'DELETE FROM movies RETURNING plot, tags');
	is($code, 1, "$command->[0]: a query that deletes: exit code 1");
	like($err, qr/read-only transaction.*HINT:  The tool only reads/s, "$command->[0]: a query that deletes: message");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM movies'), '904', "$command->[0]: and nothing is deleted");
}

# It learns.
my @query = ('-q', $select, '--key=film', '--test=0.2', '--validation=0.2');
($code, $out, $err) = tool('finetune', '--freeze=all', @model, @query, '--cache', "$dir/cache");
is($code, 0, 'finetune') or diag($err);
like($err, qr/904 read/, 'it tells how many rows it read');
like($err, qr/1  left out: the text is NULL/, 'and how many had no text');
like($err, qr/1  left out: the text is empty/, 'an empty text');
like($err, qr/1  left out: the tags are NULL/, 'no tags');
like($err, qr/1  used, split by their text: the key is NULL/, 'no key');
like($err, qr/2  tags ignored: NULL or an empty string/, 'empty tags');
like($err, qr/1  tags counted once/, 'repeated tags');
like($err, qr/Tags left out: 1 .*one, of a kind \(\d\)/, 'and which tags are too rare');
like($out, qr/<- chosen/, 'it shows what it chose among');
like($out, qr/Test part: .*macro AP ([01]\.\d+)/s, 'and the test part');
my $text = $out;

($code, $out) = tool('info', $output);
like($out, qr/^  query +SELECT plot, tags, film FROM movies$/m, 'info tells the query');
like($out, qr/^  test +micro F1 0\.\d+, macro F1 0\.\d+, macro AP [01]\.\d+/m, 'and the metrics');
cmp_ok(scalar split(/\n/, $out), '<', 40, 'in few lines');
($code, $out) = tool('info', '--json', $output);
my $info = decode_json($out);
is($info->{kind}, 'tagger', 'the new model is a tagger');
is_deeply([ sort map { $_->{name} } @{ $info->{tags} } ], [qw(horror romance sci-fi western)], 'with the tags');
my $card = $info->{card};
cmp_ok($card->{metrics}{test}{macro_ap}, '>', 0.8, 'macro AP on the test part');
cmp_ok($card->{metrics}{test}{at_calibrated_thresholds}{micro_f1}, '>', 0.75, 'micro F1 on the test part');
is($card->{data}{query}, $select, 'the card has the query');
is($card->{data}{rows}{query}{null_text}, 1, 'the card has the account of rows');
is($card->{data}{keys_in_several_parts}, 0, 'no key is in two parts');
my $parts = $card->{data}{parts};
is($parts->{training} + $parts->{validation} + $parts->{test}, 901, 'every row used is in a part');
my ($base_sum) = split ' ', `sha256sum $base`;
is($card->{base}{sha256}, $base_sum, 'the card has the base');

# Columns that are named for something else are not the text or the tags.
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.unnamed", @where, '-q', 'SELECT film, plot, tags FROM movies',
	'--key=film', '--test=0.2', '--validation=0.2', '--cache', "$dir/cache", '--quiet', '--json');
is($code, 0, 'the key comes first') or diag($err);
is_deeply(decode_json($out)->{metrics}, $card->{metrics}, 'and is not taken for the text, nor the text for the tags');
($code, $out, $err) = tool('evaluate', '--model', $output, @where, '-q', 'SELECT film, plot, tags FROM movies', '--key=film', '--json', '--quiet');
is($code, 0, 'evaluate with the key first') or diag($err);
($code, $text_first, $err) = tool('evaluate', '--model', $output, @where, '-q', $select, '--key=film', '--json', '--quiet');
is_deeply(decode_json($out)->{metrics}, decode_json($text_first)->{metrics}, 'evaluate does not take the key for the text either');

# The same again, from the cache, with another number of threads: the same bytes.
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.2", @where, @query, '--cache', "$dir/cache", '--threads=1');
is($code, 0, 'finetune again');
like($err, qr/(\d+) distinct texts, \1 from the cache/, 'every vector came from the cache');
is(compare($output, "$output.2"), 0, 'and the file is the same, byte for byte');
($code) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.3", @where, @query, '--threads=3', '--quiet');
is(compare($output, "$output.3"), 0, 'without a cache too');
($code) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.4", @where, @query, '--seed=2', '--quiet');
isnt(compare($output, "$output.4"), 0, 'another seed splits otherwise');

# What went into a model that is made of another one, and of that one's base.
my $about = "Plots of our own\x{2019}s making, CC0.";
utf8::encode($about);
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $output, '-o', "$output.second", @where, '-q', "$select WHERE id > 300", '--cache', "$dir/cache", '--json', '--quiet',
	'--about', $about);
is($code, 0, 'a tagger from a tagger') or diag($err);
my $second = decode_json($out);
($code, $out) = tool('info', "$output.second");
like($out, qr/^  about +\Q$about\E$/m, 'info tells what --about said of it');
tool('export', "$output.second", '-o', "$dir/second");
like(slurp_file("$dir/second/README.md"), qr/^\Q$about\E$/m, 'and so does an export');
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $output, '-o', "$output.third", @where, '-q', $select, '--about', "caf\xe9");
is($code, 2, 'an --about that is not UTF-8: exit code 2');
like($err, qr/the text of --about is not valid UTF-8/, 'an --about that is not UTF-8: message');
is($second->{base}{card}{data}{query}, $select, 'its card has the rows of the first');
is($second->{base}{card}{base}{sha256}, $base_sum, 'and what that was made of');
ok(!exists $second->{base}{card}{metrics}{test}{per_tag}, 'without its tables');
ok(exists $second->{metrics}{validation}{per_tag}, 'unlike its own');

# A cache of something else.
TinyCheckpoint::spew("$dir/precious", "not a cache, and longer than the header of one, so that the magic decides alone");
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.5", @where, @query, '--cache', "$dir/precious");
is($code, 1, 'a file that is no cache is refused');
like($err, qr/is not a cache of vectors/, 'with a message');
is(-s "$dir/precious", 79, 'and left as it is');

# Other ways to give tags and parts.
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.6", @where, '--quiet', '-q',
	'SELECT to_jsonb(tags) AS t, plot AS p FROM movies WHERE id <= 700', '--text=p', '--tags=t',
	'--validation-query', 'SELECT tags AS t, plot AS p FROM movies WHERE id > 700 AND id < 850',
	'--test-query', 'SELECT tags AS t, plot AS p FROM movies WHERE id >= 850', '--json', '--imbalance=pos-weight');
is($code, 0, 'JSON tags, columns by name, queries for the parts') or diag($err);
my $json = decode_json($out);
is($json->{training}{imbalance}, 'pos-weight', '--imbalance');
is($json->{data}{parts}{training}, 700, 'the main query trains');
cmp_ok($json->{metrics}{test}{macro_ap}, '>', 0.8, 'and learns');
($code, $out, $err) = tool('finetune', '--freeze=all', '--model', $base, '-o', "$output.7", @where, '-q', $select, '--key=film',
	'--validation-query', "$select WHERE id < 100");
like($err, qr/keys are in more than one part/, 'overlapping queries are warned of');

# evaluate says what SQL says.
($code, $out, $err) = tool('evaluate', '--model', $output, @where, '--json', '-q', "SELECT plot, tags FROM movies WHERE id > 800");
is($code, 0, 'evaluate') or diag($err);
my $evaluation = decode_json($out);
($code, $out, $err) = tool('install', $output, '--name=tags', '--default', @where);
is($code, 0, 'install') or diag($err);
my %hits = split /\||\n/, $node->safe_psql(
	'postgres', q{
	SELECT t, count(*) FILTER (WHERE t = ANY (tags)) || '/' || count(*) FROM movies, unnest(bert_tags(plot)) t
	WHERE id > 800 AND trim(plot) <> '' AND tags IS NOT NULL GROUP BY t});
for my $tag (@{ $evaluation->{metrics}{per_tag} })
{
	my $hits = int($tag->{precision} * $tag->{predicted} + 0.5);
	is($hits{ $tag->{tag} } // '0/0', "$hits/$tag->{predicted}", "bert_tags in SQL predicts $tag->{tag} as evaluate says");
}
($code, $out) = tool('evaluate', '--from-database=tags', @where, '--json', '--quiet', '-q', "SELECT plot, tags FROM movies WHERE id > 800");
is_deeply(decode_json($out)->{metrics}, $evaluation->{metrics}, 'evaluate of the installed model says the same');
($code, $out, $err) = tool('evaluate', '--model', $base, @where, '-q', $select);
is($code, 1, 'a model without tags cannot be evaluated');
like($err, qr/has no tags.*finetune/s, 'and the hint says how to get them');
($code, $out, $err) = tool('evaluate', '--model', $output, @where, '-q', "SELECT plot, tags || ARRAY['new'] FROM movies");
like($err, qr/does not know, ignored: \d: .*new \(\d+\)/, 'tags unknown to the model are told');
unlike($err, qr/warning: (no row|the intervals)/, 'and no more where it knows others');
($code, $out, $err) = tool('evaluate', '--model', $output, @where, '-q', "$select WHERE id <= 20", '--key=film');
like($err, qr/warning: the intervals are too narrow: 11 keys are too few/, 'intervals of few films are told to be too narrow');
($code, $out, $err) = tool('evaluate', '--model', $output, @where, '-q', "SELECT plot, ARRAY['Horror'] AS tags FROM movies");
like($err, qr/warning: no row has a tag that the model knows.*spelt/, 'rows with none of its tags are told');

# A server of another version is refused for model files too, unless its database has no extension or none for us.
my $set_version = q{UPDATE pg_extension SET extversion = '%s' WHERE extname = 'moviebert'};
my $version     = $node->safe_psql('postgres', q{SELECT bert_version()});
$node->safe_psql('postgres', sprintf($set_version, '0.0.1') . '; CREATE ROLE guest LOGIN; GRANT SELECT ON movies TO guest');
for my $command ([ 'finetune', '--freeze=all', '-o', "$output.9" ], ['evaluate'])
{
	($code, $out, $err) = tool(@$command, '--model', $output, @where, @query[ 0, 1 ]);
	is($code, 3, "$command->[0] of a file with another version's extension: exit code 3");
	like($err, qr/is still version 0\.0\.1.*HINT:  Run ALTER EXTENSION moviebert UPDATE/s, "$command->[0]: message");
}
$node->safe_psql('postgres', 'REVOKE USAGE ON SCHEMA public FROM PUBLIC; CREATE SCHEMA open; GRANT USAGE ON SCHEMA open TO guest');
$node->safe_psql('postgres', 'ALTER TABLE movies SET SCHEMA open');
($code, $out, $err) = tool('evaluate', '--model', $output, @where, '-U', 'guest', '--quiet', '-q', 'SELECT plot, tags FROM open.movies');
is($code, 0, 'evaluate of a file by a role that may not use the extension') or diag($err);
$node->safe_psql('postgres', sprintf($set_version, $version) . '; GRANT USAGE ON SCHEMA public TO PUBLIC; ALTER TABLE open.movies SET SCHEMA public');
$node->safe_psql('postgres', 'CREATE DATABASE bare');
($code, $out, $err) = tool('evaluate', '--model', $output, '-d', $node->connstr('bare'), '--quiet', '-q', q{VALUES ('a ghost', ARRAY['horror'])});
is($code, 0, 'evaluate of a file in a database without the extension') or diag($err);

# From the installed model to a next one.
($code, $out, $err) = tool('finetune', '--freeze=all', '--from-database=tags', '-o', "$output.8", @where, @query, '--quiet');
is($code, 0, 'finetune from an installed model') or diag($err);

$node->stop;
done_testing();
