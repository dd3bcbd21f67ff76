# install and export over a connection: handshake, one transaction, idempotence, interruption, damage.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TinyCheckpoint;

my $tool = "$FindBin::RealBin/../../moviebert";
plan skip_all => 'no ./moviebert: run make first' unless -x $tool;
my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('tool_install');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

sub tool
{
	my @args = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $tool, @args ], '<', \undef, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

my $model = "$dir/tiny.moviebert";
my $other = "$dir/other.moviebert";
TinyCheckpoint::write_checkpoint("$dir/tiny", words => [qw(a ghost loves robot)], layers => 2);
TinyCheckpoint::write_checkpoint("$dir/other", words => [qw(a ghost loves robot)], seed => 2);
tool('import', "$dir/tiny", '-o', $model);
tool('import', "$dir/other", '-o', $other);
my ($sum) = split ' ', slurp_command('sha256sum', $model);

sub slurp_command
{
	my $out = '';
	IPC::Run::run([@_], '>', \$out);
	return $out;
}

my ($code, $out, $err) = tool('install', $model, '--name=tiny', @where);
is($code, 3, 'install without the extension: exit code 3');
like($err, qr/does not have the extension.*HINT:  Run CREATE EXTENSION moviebert/s, 'install without the extension: hint');

# A schema of its own, with a name that needs quotes.
$node->safe_psql('postgres', 'CREATE SCHEMA "Movie Bert"; CREATE EXTENSION moviebert SCHEMA "Movie Bert"');
($code, $out, $err) = tool('install', $model, '--name=tiny', @where);
is($code, 0, 'install') or diag($err);
like($out, qr/^Installed model "tiny" in database "postgres"/, 'install says what it did');
is($node->safe_psql('postgres', q{SELECT sha256 FROM "Movie Bert".bert_models WHERE name = 'tiny'}), $sum, 'the model is there');
is( $node->safe_psql(
		'postgres', q{SELECT encode(sha256(string_agg(data, ''::bytea ORDER BY seq)), 'hex') FROM "Movie Bert".bert_model_chunk}),
	$sum,
	'its chunks are the file');
is($node->safe_psql('postgres', q{SELECT cardinality("Movie Bert".bert_embed('a ghost loves a robot', 'tiny'))}), '32', 'it works');

# Again: nothing changes.
my $count = 'SELECT count(*), max(seq), (SELECT count(*) FROM "Movie Bert".bert_models) FROM "Movie Bert".bert_model_chunk';
my $before = $node->safe_psql('postgres', $count);
($code, $out) = tool('install', $model, '--name=tiny', @where);
is($code, 0, 'install again');
like($out, qr/was already installed/, 'install again says so');
is($node->safe_psql('postgres', $count), $before, 'install again changes nothing');

# The same contents under another name share the chunks.
($code, $out, $err) = tool('install', $model, '--name=alias', '--default', @where);
is($code, 0, 'the same file under another name') or diag($err);
is($node->safe_psql('postgres', 'SELECT count(DISTINCT sha256) FROM "Movie Bert".bert_model_chunk'), '1', 'has no second copy');
is($node->safe_psql('postgres', q{SELECT name FROM "Movie Bert".bert_models WHERE is_default}), 'alias', '--default');

# Other contents under the same name.
($code, $out, $err) = tool('install', $other, '--name=tiny', @where);
is($code, 1, 'other contents under a name in use fail');
like($err, qr/already exists with other contents.*HINT:  Give the new version a name of its own/s, 'and the hint says what to do');

# Interrupted in the middle: the COPY waits for a lock, we press Ctrl-C.
{
	my ($blocker_in, $blocker_out) = ('', '');
	my $blocker = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$blocker_in, '>', \$blocker_out, '2>', \my $ignored);
	$blocker_in .= qq{BEGIN; LOCK TABLE "Movie Bert".bert_model_chunk IN SHARE MODE;\n\\echo locked\n};
	$blocker->pump until $blocker_out =~ /locked/;
	my ($o, $e) = ('', '');
	my $install = IPC::Run::start([ $tool, 'install', $other, '--name=other', @where ], '>', \$o, '2>', \$e);
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'COPY %' AND wait_event_type = 'Lock'})
	  or die 'the install never waited';
	$install->signal('INT');
	$install->finish;
	is($? >> 8, 130, 'interrupted: exit code 130');
	like($e, qr/interrupted/, 'interrupted: says so');
	$blocker_in .= "ROLLBACK;\n\\q\n";
	$blocker->finish;
	is($node->safe_psql('postgres', $count), '1|0|2', 'interrupted: nothing is left');
}

# Somebody who may not.
$node->safe_psql('postgres', 'CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA "Movie Bert" TO guest');
($code, $out, $err) = tool('install', $other, '--name=other', @where, '-U', 'guest');
isnt($code, 0, 'a role without rights cannot install');
like($err, qr/moviebert: error: .*permission denied/s, 'and is told why');

# Export from the database gives what export from the file gives.
($code, $out, $err) = tool('export', '--from-database=tiny', '-o', "$dir/from-database", @where);
is($code, 0, 'export from the database') or diag($err);
($code) = tool('export', $model, '-o', "$dir/from-file");
is($code, 0, 'export from the file');
is(compare("$dir/from-database/model.safetensors", "$dir/from-file/model.safetensors"), 0, 'the same weights');
is(compare("$dir/from-database/config.json", "$dir/from-file/config.json"), 0, 'the same configuration');
($code, $out, $err) = tool('export', '--from-database=absent', '-o', "$dir/x", @where);
is($code, 1, 'export of an unknown model fails');
like($err, qr/model "absent" does not exist.*HINT:  The view bert_models lists those that do/s, 'and says which there are');

# Damage is found before anything is written.
$node->safe_psql('postgres', q{UPDATE "Movie Bert".bert_model_chunk SET data = overlay(data PLACING '\x00ff00ff' FROM 5000)});
($code, $out, $err) = tool('export', '--from-database=tiny', '-o', "$dir/damaged", @where);
is($code, 1, 'a damaged model is not exported');
like($err, qr/damaged/, 'and is called so');
ok(!-e "$dir/damaged", 'and nothing is written');

# Another version on the server.
$node->safe_psql('postgres',
	q{CREATE OR REPLACE FUNCTION "Movie Bert".bert_version() RETURNS text LANGUAGE sql AS $$SELECT '0.0.1'$$});
($code, $out, $err) = tool('install', $other, '--name=other', @where);
is($code, 3, 'another version: exit code 3');
like($err, qr/this tool is version [\d.]+, but the server's moviebert is version 0\.0\.1.*HINT/s, 'another version: message');

$node->stop;
done_testing();
