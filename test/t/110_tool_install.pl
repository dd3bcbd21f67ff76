# install and export over a connection: handshake, one transaction, idempotence, interruption, damage.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use IO::Select;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('tool_install');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

my $model = "$dir/tiny.safetensors";
my $other = "$dir/other.safetensors";
TinyCheckpoint::write_checkpoint("$dir/tiny", words => [qw(a ghost loves robot)], layers => 2);
TinyCheckpoint::write_checkpoint("$dir/other", words => [qw(a ghost loves robot)], seed => 2);
tool('import', "$dir/tiny", '-o', $model);
tool('import', "$dir/other", '-o', $other);
my ($sum) = split ' ', slurp_command('sha256sum', $model);

sub start_tool
{
	my %started = (out => '', err => '');
	$started{run} = IPC::Run::start([ $tool, @_ ], '<', \undef, '>', \$started{out}, '2>', \$started{err});
	return \%started;
}

# Until so many statements of a kind wait for a lock.
sub wait_for_lock
{
	my ($like, $n) = @_;
	$node->poll_query_until('postgres',
		qq{SELECT count(*) = $n FROM pg_stat_activity WHERE query LIKE '$like' AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'})
	  or die "no $n statements like $like ever waited";
	return;
}

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
# Without the model that ships: what is counted here is this test's own.
$node->safe_psql('postgres', q{SELECT "Movie Bert".bert_drop_model('moviebert-1')});
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

# Two installs of one file at once: both copy, the second waits for the first, and then finds what it left.
{
	my $blocker = Session->new($node, 'postgres');
	$blocker->query('BEGIN; LOCK TABLE "Movie Bert".bert_model_chunk IN SHARE MODE');
	my @runs = map { start_tool('install', $other, '--name=other', @where) } 1 .. 2;
	wait_for_lock('COPY %', 2);
	$blocker->query('COMMIT');
	$_->{run}->finish for @runs;
	is(join(',', map { $_->{run}->full_result >> 8 } @runs), '0,0', 'two installs at once: both succeed')
	  or diag(map { $_->{err} } @runs);
	my @said = sort map { $_->{out} } @runs;
	like($said[0], qr/^Installed model "other"/, 'one installs');
	like($said[1], qr/"other" was already installed/, 'the other finds it installed');
	is($node->safe_psql('postgres', $count), '2|0|3', 'and it is there once');
	$node->safe_psql('postgres', q{SELECT "Movie Bert".bert_drop_model('other')});

	# The same with two names.
	$blocker->query('BEGIN; LOCK TABLE "Movie Bert".bert_model_chunk IN SHARE MODE');
	@runs = map { start_tool('install', $other, "--name=$_", @where) } qw(one two);
	wait_for_lock('COPY %', 2);
	$blocker->query('COMMIT');
	$_->{run}->finish for @runs;
	is(join(',', map { $_->{run}->full_result >> 8 } @runs), '0,0', 'under two names at once: both succeed')
	  or diag(map { $_->{err} } @runs);
	is($node->safe_psql('postgres', $count), '2|0|4', 'and the chunks are there once');

	# Its chunks were seen, and are gone when they are to be named.
	$node->safe_psql('postgres', q{SELECT "Movie Bert".bert_drop_model('two')});
	$blocker->query(q{BEGIN; SELECT "Movie Bert".bert_drop_model('one')});
	my $late = start_tool('install', $other, '--name=late', @where);
	wait_for_lock('%bert_register_model%', 1);
	$blocker->query('COMMIT');
	$late->{run}->finish;
	is($late->{run}->full_result >> 8, 0, 'chunks that are dropped meanwhile are copied') or diag($late->{err});
	is( $node->safe_psql('postgres', q{SELECT cardinality("Movie Bert".bert_embed('a ghost', 'late'))}), '32', 'and it works');
	$node->safe_psql('postgres', q{SELECT "Movie Bert".bert_drop_model('late')});
	$blocker->close;
}

# Somebody who may not.
$node->safe_psql('postgres', 'CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA "Movie Bert" TO guest');
($code, $out, $err) = tool('install', $other, '--name=other', @where, '-U', 'guest');
isnt($code, 0, 'a role without rights cannot install');
like($err, qr/moviebert: error: .*permission denied/s, 'and is told why');
like($err, qr/HINT:  A superuser can run (GRANT INSERT ON .* TO "guest";)$/m, 'and what to ask for');
($code, $out, $err) = tool('install', $other, '--name=other', '--default', @where, '-U', 'guest');
like($err, qr/HINT:  A superuser can run (GRANT INSERT ON .*; GRANT INSERT, UPDATE ON .*bert_default TO .*;)$/m, '--default: and that of a default');
my ($grants) = $err =~ /HINT:  A superuser can run (.*)$/m;
$node->safe_psql('postgres', $grants);
($code, $out, $err) = tool('install', $other, '--name=other', '--default', @where, '-U', 'guest');
is($code, 0, 'with those rights it can') or diag($err);
like($err, qr{\b[\d.]+ (?:bytes|[kMG]B)/s}, 'the rate is told in bytes');
$node->safe_psql('postgres', q{SELECT "Movie Bert".bert_default_model('alias'), "Movie Bert".bert_drop_model('other')});

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

# What does not fit into the temporary folder is not waited for: the download ends there.
$node->safe_psql(
	'postgres', q{
	INSERT INTO "Movie Bert".bert_model_chunk
		SELECT (SELECT sha256 FROM "Movie Bert".bert_models WHERE name = 'tiny'), i, convert_to(repeat('x', 1 << 20), 'UTF8')
		FROM generate_series(1, 24) i});
my $log = -s $node->logfile;
{
	local $SIG{XFSZ} = 'IGNORE';
	my ($o, $e) = ('', '');
	IPC::Run::run([ 'sh', '-c', 'ulimit -f 2048 && exec "$@"', 'sh', $tool, 'export', '--from-database=tiny', '-o', "$dir/large", @where ],
		'>', \$o, '2>', \$e);
	is($? >> 8, 1, 'a full temporary folder: exit code 1');
	like($e, qr/could not write ".*moviebert-.*"\nDETAIL:  .*File too large/, 'a full temporary folder: message');
	ok($node->log_contains('canceling statement due to user request', $log), 'and the query is cancelled');
}
$node->safe_psql('postgres', 'DELETE FROM "Movie Bert".bert_model_chunk');
($code, $out, $err) = tool('export', '--from-database=tiny', '-o', "$dir/empty", @where);
is($code, 1, 'a model without contents is not exported');
like($err, qr/has a name in the database, but no contents.*HINT:  Drop it/s, 'and is called so');

# An extension whose objects are older than its library, and another library.
my $older = q{UPDATE pg_extension SET extversion = '%s' WHERE extname = 'moviebert'};
my ($version) = (tool('--version'))[1] =~ /(\d\S+)/;
$node->safe_psql('postgres', sprintf $older, '0.0.1');
($code, $out, $err) = tool('install', $other, '--name=other', @where);
is($code, 3, 'objects of another version: exit code 3');
like(
	$err,
	qr/the extension moviebert in database "postgres" is still version 0\.0\.1, but the server has version \Q$version\E\nHINT:  Run ALTER EXTENSION/,
	'objects of another version: message');
$node->safe_psql('postgres', sprintf $older, $version);
$node->safe_psql('postgres',
	q{CREATE OR REPLACE FUNCTION "Movie Bert".bert_version() RETURNS text LANGUAGE sql AS $$SELECT '0.0.1'$$});
($code, $out, $err) = tool('install', $other, '--name=other', @where);
is($code, 3, 'another version: exit code 3');
like($err, qr/this tool is version [\d.]+, but the server's moviebert is version 0\.0\.1.*HINT/s, 'another version: message');

# Ctrl-C at the question for a password: the terminal echoes afterwards.
SKIP:
{
	# A bare chroot has no terminals to give.
	my $pty = eval { require IO::Pty; require POSIX; IO::Pty->new } or skip 'no terminal can be had', 4;
	$node->safe_psql('postgres', q{CREATE ROLE secretive LOGIN PASSWORD 'x'});
	my $hba = $node->data_dir . '/pg_hba.conf';
	TinyCheckpoint::spew($hba, "local all secretive scram-sha-256\n" . slurp_file($hba));
	$node->reload;
	my $slave = $pty->slave;
	my $terminal_says = IO::Select->new($pty);

	# What keys at the question lead to: the wait status, and what the terminal showed.
	my $asked = sub {
		my $keys = shift;
		my $seen = '';
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			$pty->make_slave_controlling_terminal;
			open STDERR, '>&', $slave;
			exec $tool, 'install', $other, '--name=other', @where, '-U', 'secretive' or POSIX::_exit(1);
		}
		$pty->sysread($seen, 1024, length $seen) while $seen !~ /Password: / && $terminal_says->can_read(30);
		$pty->syswrite($keys);
		local $SIG{ALRM} = sub { kill 'KILL', $pid; };
		alarm 30;
		waitpid $pid, 0;
		alarm 0;
		my $status = $?;
		$pty->sysread($seen, 1024, length $seen) while $terminal_says->can_read(0.1);
		return ($status, $seen);
	};
	my $echoes = sub {
		my $terminal = POSIX::Termios->new;
		$terminal->getattr(fileno $slave);
		return $terminal->getlflag & POSIX::ECHO();
	};
	my ($status, $seen) = $asked->("\x03");
	is($status, 130 << 8, 'Ctrl-C at the question for a password: exit code 130');
	like($seen, qr/moviebert: interrupted/, 'Ctrl-C at the question for a password: message');
	ok($echoes->(), 'and the terminal echoes again');

	# The second may end the tool at once, whichever of its threads it comes to.
	my $silent = 0;
	for (1 .. 20)
	{
		$asked->("\x03\x03");
		$silent++ if !$echoes->();
	}
	is($silent, 0, 'after a second Ctrl-C as well');
}

$node->stop;
done_testing();
