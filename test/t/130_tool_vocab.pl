# vocab on a real server: rows accounted for, the same bytes for the same rows, errors before work, nothing half-done left.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();
mkdir "$dir/out";

my $node = PostgreSQL::Test::Cluster->new('tool_vocab');
$node->init;
$node->start;
my @where  = ('-d', $node->connstr('postgres'));
my $output = "$dir/out/vocab.txt";

sub vocab { return tool('vocab', @where, '-o', $output, @_); }

sub lines
{
	open my $in, '<:encoding(UTF-8)', shift or die $!;
	chomp(my @lines = <$in>);
	return @lines;
}

sub nothing_left
{
	my $name = shift;
	my @left = glob "$dir/out/*";
	is("@left", '', "$name: nothing is written");
}

$node->safe_psql(
	'postgres', q{
	CREATE TABLE movies (id int, plot text, title varchar);
	INSERT INTO movies
		SELECT i, CASE WHEN i % 3 = 0 THEN 'The Hunter hunts hunted hunters' ELSE 'A caf\u00e9, a hunt; the end' END
			|| CASE WHEN i % 7 = 0 THEN ' hunting' ELSE '' END, 'Film ' || i
		FROM generate_series(1, 400) i;
	UPDATE movies SET plot = replace(plot, '\u00e9', chr(233));
	INSERT INTO movies VALUES (1001, NULL, 'x'), (1002, NULL, 'x'), (1003, E' \n\t', 'x'), (1004, repeat('z', 101) || ' end', 'x')});

# Errors, each with what to do, and before the query runs.
TinyCheckpoint::spew("$dir/no-vocabulary", "some\nlines\n");
$node->safe_psql('postgres', 'CREATE TABLE ran (i int)');
for my $case (
	[ [ '-q', 'SELECT id FROM movies' ], qr/column "id" is not of type text.*Cast it/s, 'no text column' ],
	[ [ '-q', 'SELECT plot FROM movies', '--text=plott' ], qr/no column "plott" for the text.*columns are: "plot"/s, 'absent column' ],
	[ [ '-q', 'SELECT id, plot FROM movies', '--text=id' ], qr/column "id" is not of type text/, 'named column of the wrong type' ],
	[ [ '-q', 'SELECT plot, plot FROM movies', '--text=plot' ], qr/more than one column "plot"/, 'ambiguous column' ],
	[ [ '-q', 'SELECT plot FROM moovies' ], qr/relation "moovies" does not exist/, 'absent table' ],
	[ [ '-q', 'SELECT plot FROM movies; SELECT 1' ], qr/cannot insert multiple commands/, 'two commands' ],
	[ [ '-q', 'CREATE TABLE other (i int)' ], qr/returns no rows.*that returns a text/s, 'a command without rows' ],
	[ [ '-q', 'INSERT INTO ran VALUES (1) RETURNING i' ], qr/column "i" is not of type text/, 'rows of the wrong type' ],
	[ [ '-q', 'DELETE FROM movies RETURNING plot' ], qr/read-only transaction.*The tool only reads/s, 'a query that writes' ],
	[ [ '-q', 'SELECT plot FROM movies WHERE false' ], qr/no row with a text.*WHERE/s, 'no rows' ],
	[ [ '-q', 'SELECT plot FROM movies WHERE plot IS NULL' ], qr/no row with a text/, 'no texts' ],
	[ [ '-q', q{SELECT E'\x07'::text} ], qr/have no words/, 'no words' ],
	[ [ '-q', 'SELECT plot, 1 / (400 - id) FROM movies ORDER BY id' ], qr/division by zero/, 'a query that fails half-way' ],
	[ [ '-q', 'SELECT plot FROM movies', '--size=20' ],
		qr/20 tokens is too small for this text.*5 special tokens, \d+ characters.*--size/s, 'too small' ],
	[ [ '-q', 'SELECT plot FROM movies', "--compare=$dir/none" ], qr/could not open.*none/, 'nothing to compare with' ],
	[ [ '-q', 'SELECT plot FROM movies', "--compare=$dir/no-vocabulary" ], qr/missing from the vocabulary.*that of --compare/s, 'compared with no vocabulary' ],)
{
	my ($code, $out, $err) = vocab(@{ $case->[0] });
	is($code, 1, "$case->[2]: exit code 1");
	like($err, $case->[1], "$case->[2]: message");
	like($err, qr/HINT|DETAIL|division/, "$case->[2]: what to do, or the server's words");
	nothing_left($case->[2]);
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM ran'), '0', 'a query with the wrong columns did not run');
is($node->safe_psql('postgres', 'SELECT count(*) FROM movies'), '404', 'a query that writes wrote nothing');
is($node->safe_psql('postgres', "SELECT to_regclass('other') IS NULL"), 't', 'nor did a command without rows');
for my $case (
	[ [ '-o', $output ], qr/needs a query/ ],
	[ [ '-q', 'SELECT 1' ], qr/needs the name of the vocabulary/ ],
	[ [ '-q', 'SELECT 1', '-o', $output, '--cased', '--lowercase' ], qr/contradict/ ],
	[ [ '-q', 'SELECT 1', '-o', $output, '--size=5' ], qr/whole number from 6/ ],)
{
	my ($code, $out, $err) = tool('vocab', @where, @{ $case->[0] });
	is($code, 2, 'wrong usage');
	like($err, $case->[1], 'and why');
}
my ($code, $out, $err) = tool('vocab', @where, '-q', 'SELECT plot FROM movies', '-o', "$dir/none/vocab.txt");
is($code, 1, 'a folder that is not there');
like($err, qr/could not write into folder ".*none"/, 'is told');
unlike($err, qr/Plan/, 'before anything is read');
($code, $out, $err) = tool('vocab', '-d', 'port=1 host=/nonexistent', '-q', 'SELECT 1', '-o', $output);
is($code, 3, 'no server');

# It learns, and accounts for what it read.
my @query = ('-q', 'SELECT id, plot, title FROM movies', '--size=60');
($code, $out, $err) = vocab(@query);
is($code, 0, 'vocab') or diag($err);
like($err, qr/Plan: 60 tokens, lower case, accents stripped, from about \d+ rows/, 'the plan');
like($err, qr/Texts are taken from column "plot", not from "title": --text names another\n/, 'which column is read, where there are two');
like($err, qr/404 read/, 'rows read');
like($err, qr/401  used/, 'rows used');
like($err, qr/2  left out: the text is NULL/, 'NULLs');
like($err, qr/1  left out: the text is empty/, 'an empty text');
like($out, qr/1 of more than 100 characters are \[UNK\]/, 'a word that is too long');
like($out, qr/Characters: \d+ kept, none dropped/, 'the alphabet');
like($out, qr/tokens a word; 1 words are \[UNK\], 0\.\d+ %/, 'coverage');
my @tokens = lines($output);
is_deeply([ @tokens[ 0 .. 4 ] ], [qw([PAD] [UNK] [CLS] [SEP] [MASK])], 'special tokens come first');
my %has = map { $_ => 1 } @tokens;
is(scalar keys %has, scalar @tokens, 'each token once');
ok($has{hunter} && $has{cafe} && $has{','} && $has{the}, 'words of the first text column, in lower case, without accents');
ok(!$has{'1'} && !$has{film} && !$has{zz}, 'not of another column, nor of a word that is too long');

# The same rows give the same bytes, in any order, and in a database of another encoding.
rename $output, "$dir/first";
($code) = vocab('-q', 'SELECT plot FROM movies ORDER BY md5(id::text)', '--size=60', '--quiet');
is(compare($output, "$dir/first"), 0, 'the same bytes in another order');
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('latin', q{CREATE TABLE movies (plot text);
	INSERT INTO movies SELECT CASE WHEN i % 2 = 0 THEN 'caf' || chr(233) ELSE 'CAF' || chr(201) END FROM generate_series(1, 9) i});
($code) = tool('vocab', '-d', $node->connstr('latin'), '-q', 'SELECT plot FROM movies', '-o', $output, '--keep-accents', '--quiet');
ok((grep { $_ eq "caf\x{e9}" } lines($output)), 'texts come as UTF-8; --keep-accents');
($code) = tool('vocab', '-d', $node->connstr('latin'), '-q', 'SELECT plot FROM movies', '-o', $output, '--cased', '--quiet');
ok((grep { $_ eq "CAF\x{c9}" } lines($output)), '--cased');

# Bytes that are no text, which only SQL_ASCII lets in.
$node->safe_psql('postgres', q{CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('bytes', q{CREATE TABLE movies AS SELECT CASE WHEN i = 7 THEN E'bad \xff' ELSE 'good' END AS plot FROM generate_series(1, 9) i});
unlink $output;
($code, $out, $err) = tool('vocab', '-d', $node->connstr('bytes'), '-q', 'SELECT plot FROM movies', '-o', $output);
is($code, 1, 'a text that is not UTF-8');
like($err, qr/invalid byte sequence for encoding "UTF8": 0xff/, 'is told');
nothing_left('a text that is not UTF-8');

# The report as JSON: what was dropped, and the difference to another vocabulary.
TinyCheckpoint::spew("$dir/other", join("\n", @tokens[ 0 .. 4 ], split(/ /, 'a c e h n t u d r s f i g , ; the film ##unt'), ''));
($code, $out, $err) =
	vocab('-q', 'SELECT plot FROM movies', '--size=45', '--limit-alphabet=14', "--compare=$dir/other", '--json', '--quiet');
is($code, 0, 'with JSON') or diag($err);
is($err, '', 'and quietly');
my $report = decode_json($out);
is($report->{rows}{null_text}, 2, 'rows');
is($report->{words}{too_long}, 1, 'words');
is($report->{alphabet}{kept}, 14, '--limit-alphabet');
is($report->{alphabet}{dropped_occurrences}, eval { my $n = 0; $n += $_->{count} for @{ $report->{alphabet}{dropped} }; $n },
	'every character dropped is told');
cmp_ok(scalar @{ $report->{alphabet}{dropped} }, '>', 0, 'there are some');
my $kinds = $report->{tokens};
is( $kinds->{special} + $kinds->{characters} + $kinds->{continuing_characters} + $kinds->{beginnings} + $kinds->{continuations},
	$kinds->{total}, 'tokens by kind add up');
is($kinds->{total}, scalar(lines($output)), 'to what is in the file');
cmp_ok($report->{coverage}{unknown_words}, '>', 1, 'dropped characters make unknown words');
my $uses = 1e18;
my $falling = 1;
my %mine = map { $_ => 1 } lines($output);
my %theirs = map { $_ => 1 } lines("$dir/other");
for (@{ $report->{compare}{only_here} })
{
	$falling = 0 if $_->{uses} > $uses;
	$uses = $_->{uses};
}
ok($falling, 'the difference, most frequent first');
is_deeply([ sort map { $_->{token} } @{ $report->{compare}{only_here} } ], [ sort grep { !$theirs{$_} } keys %mine ], 'only here');
is_deeply([ sort map { $_->{token} } @{ $report->{compare}{only_there} } ], [ sort grep { !$mine{$_} } keys %theirs ], 'only there');
($code, $out) = vocab('-q', 'SELECT plot FROM movies', '--size=45', '--limit-alphabet=14', "--compare=$dir/other", '--quiet');
like($out, qr/14 kept, \d+ dropped.*which were seen [\d,]+ times:\n  \S/, 'the same as tables: characters dropped');
like($out, qr/Only here: \d+ tokens.*Only there: \d+ tokens/s, 'and the difference');

# Too few pairs; more words than may be held.
($code, $out, $err) = vocab('-q', 'SELECT plot FROM movies', '--size=5000');
is($code, 0, 'a text that is too small for so many tokens');
like($err, qr/warning: only \d+ tokens: no further pair of neighbours was seen 2 times/, 'is warned of');
($code, $out, $err) = vocab('-q', 'SELECT md5(i::text) || \' often\' FROM generate_series(1, 5000) i', '--max-words=1000', '--json');
is($code, 0, 'more words than may be held');
like($err, qr/warning: too many distinct words: [\d,]+ of the rarest were forgotten/, 'are forgotten, and told');
$report = decode_json($out);
cmp_ok($report->{words}{distinct}, '<=', 1000, 'and not held');
is($report->{words}{read}, 10000, 'all were read');
ok((grep { $_ eq 'often' } lines($output)), 'a frequent word is learned all the same');

# Interrupted while the server works: nothing is left, and the server stops too.
unlink $output;
for my $signal ('INT', 'TERM')
{
	my ($o, $e) = ('', '');
	my $run = IPC::Run::start([ $tool, 'vocab', @where, '-o', $output, '-q', "SELECT plot, pg_sleep(0.05) FROM movies /* slow $signal */" ],
		'<', \undef, '>', \$o, '2>', \$e);
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT plot, pg_sleep%$signal%'})
	  or die 'it did not start';
	$run->signal($signal);
	$run->finish;
	is($? >> 8, 130, "SIG$signal: exit code");
	like($e, qr/interrupted/, "SIG$signal: message");
	nothing_left("SIG$signal");
	ok( $node->poll_query_until('postgres', qq{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'SELECT plot, pg_sleep%$signal%' AND state = 'active'}),
		"SIG$signal: the query is cancelled");
}

# The server goes away.
{
	my ($o, $e) = ('', '');
	my $run = IPC::Run::start([ $tool, 'vocab', @where, '-o', $output, '-q', 'SELECT plot, pg_sleep(0.05) FROM movies /* lost */' ],
		'<', \undef, '>', \$o, '2>', \$e);
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT plot, pg_sleep%lost%' AND pid <> pg_backend_pid()})
	  or die 'it did not start';
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT plot, pg_sleep%lost%' AND pid <> pg_backend_pid()});
	$run->finish;
	is($? >> 8, 1, 'a lost connection: exit code');
	like($e, qr/terminating connection|server closed/, 'a lost connection: message');
	nothing_left('a lost connection');
}

$node->stop;
done_testing();
