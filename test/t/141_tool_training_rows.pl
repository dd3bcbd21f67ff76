# The rows of pretrain: accounted for, refused with a reason before anything is trained, a million of them in little
# memory, a lost connection tried again, and none needed to resume.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use File::Path qw(remove_tree);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $big = 'SELECT text FROM big';

my $node = PostgreSQL::Test::Cluster->new('tool_training_rows');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

# Letters and their continuations: no word is unknown.
my $vocab = join("\n", '[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a' .. 'z', 0 .. 9, '.', map { "##$_" } 'a' .. 'z', 0 .. 9);
TinyCheckpoint::spew("$dir/vocab.txt", "$vocab\n");

# A run of a network as small as can be, in a folder of this name.
sub arguments
{
	my ($name, @args) = @_;
	return (
		'pretrain', @where, "--vocab=$dir/vocab.txt", '-o', "$dir/$name.safetensors", "--run=$dir/$name.run",
		'--config=1,16,2', '--length=32', '--batch-tokens=512', '--steps=3', @args);
}

sub pretrain { return tool(arguments(@_)); }

sub store { my $name = shift; return "$dir/$name.run/tokens.store"; }

$node->safe_psql(
	'postgres', q{
	CREATE TABLE texts (id int, film text, plot text, title varchar(40));
	INSERT INTO texts
		SELECT i, 'tt' || i % 40, 'text number ' || i || ' of film ' || i % 40 || repeat(' it goes on.', i % 9), 'Film ' || i
		FROM generate_series(1, 400) i;
	INSERT INTO texts VALUES (401, 'tt1', NULL), (402, 'tt1', NULL), (403, 'tt1', E' \n\t'), (404, NULL, 'a text without a key'),
		(405, 'tt1', E'\x07');
	CREATE TABLE ran (i int);
	CREATE TABLE big AS SELECT 'text ' || i || ' is short and says ' || md5(i::text) AS text FROM generate_series(1, 1000000) i;
	VACUUM ANALYZE big});

# ---- errors, each with what to do, before anything is trained

for my $case (
	[ [ '-q', 'SELECT id FROM texts' ], qr/column "id" is not of type text.*type integer.*Cast it/s, 'no text column' ],
	[ [ '-q', 'SELECT plot FROM texts', '--text=plott' ], qr/no column "plott" for the text.*columns are: "plot"/s, 'absent column' ],
	[ [ '-q', 'SELECT id, plot FROM texts', '--text=id' ], qr/column "id" is not of type text/, 'named column of the wrong type' ],
	[ [ '-q', 'SELECT plot FROM texts', '--key=film' ], qr/no column "film" for the key.*columns are: "plot".*--key/s, 'absent key' ],
	[ [ '-q', 'SELECT id, film FROM texts', '--key=film' ], qr/column "id" is not of type text/, 'no text column but the key' ],
	[ [ '-q', 'SELECT plot FROM texts', '--key=plot' ], qr/no column for the text.*columns are: "plot"/s, 'the key alone' ],
	[ [ '-q', 'SELECT plot FROM textts' ], qr/relation "textts" does not exist/, 'absent table' ],
	[ [ '-q', 'SELECT plot FROM texts; SELECT 1' ], qr/cannot insert multiple commands/, 'two commands' ],
	[ [ '-q', 'CREATE TABLE other (i int)' ], qr/returns no rows.*that returns a text/s, 'a command without rows' ],
	[ [ '-q', 'INSERT INTO ran VALUES (1) RETURNING i' ], qr/column "i" is not of type text/, 'rows of the wrong type' ],
	[ [ '-q', 'DELETE FROM texts RETURNING plot' ], qr/read-only transaction.*The tool only reads/s, 'a query that writes' ],
	[ [ '-q', 'SELECT plot FROM texts WHERE false' ], qr/the query gave no rows.*WHERE/s, 'no rows' ],
	[ [ '-q', 'SELECT plot FROM texts WHERE plot IS NULL' ], qr/no row with a text.*Of 2 rows, the text is NULL in 2.*--text/s, 'all NULL' ],
	[ [ '-q', 'SELECT plot FROM texts WHERE id IN (401, 403, 405)' ],
		qr/no row with a text.*Of 3 rows, the text is NULL in 1, empty in 1, and without a token in 1/s, 'nothing in them' ],
	[ [ '-q', 'SELECT plot, 1 / (400 - id) FROM texts ORDER BY id' ], qr/division by zero/, 'a query that fails' ],
	[ [ '-q', 'SELECT plot, 1 / (300 - id) FROM texts' ], qr/division by zero.*gave 299 rows before that/s, 'a query that fails half-way' ],
	[ [ '-q', 'SELECT plot FROM texts WHERE id = 1' ], qr/too few to fill one sequence of 32 tokens.*more texts/s, 'too few' ],
	[ [ '-q', 'SELECT plot FROM texts', '--validation=0.001' ], qr/the validation part is too small to fill one sequence of 32 tokens.*--validation/s, 'too small a validation part' ])
{
	my ($code, $out, $err) = pretrain('refused', @{ $case->[0] });

	is($code, 1, "$case->[2]: exit code 1");
	like($err, $case->[1], "$case->[2]: message");
	like($err, qr/HINT|DETAIL|division/, "$case->[2]: what to do, or the server's words");
	unlike($err, qr/Plan/, "$case->[2]: before the plan");
	ok(!-e "$dir/refused.safetensors", "$case->[2]: no model");
	ok(!-e store('refused') . '.tmp', "$case->[2]: no half of a store");
	remove_tree("$dir/refused.run");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM ran'), '0', 'a query with the wrong columns did not run');
is($node->safe_psql('postgres', 'SELECT count(*) FROM texts'), '405', 'a query that writes wrote nothing');

# In a database that does not know its encoding, anything can be a text.
$node->safe_psql('postgres', "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('bytes', q{CREATE TABLE texts AS SELECT 'good text'::text AS plot FROM generate_series(1, 6); INSERT INTO texts VALUES (E'caf\xe9')});
{
	my ($code, $out, $err) = pretrain('bytes', '-d', $node->connstr('bytes'), '-q', 'SELECT plot FROM texts');

	is($code, 1, 'a text that is not UTF-8: exit code 1');
	like($err, qr/invalid byte sequence for encoding "UTF8": 0xe9.*gave 6 rows before/s, 'and which row it is in');
}

# ---- rows accounted for, and a film on one side

{
	my ($code, $out, $err) =
	  pretrain('films', '-q', 'SELECT film, plot FROM texts ORDER BY id', '--text=plot', '--key=film', '--validation=0.2');

	is($code, 0, 'pretrain with a key') or diag($err);
	unlike($err, qr/taken from/, 'no word of a column that was named');
	like($err, qr/Rows: 405 read\n +402  used\n +2  left out: the text is NULL\n +1  left out: the text is empty\n +1  used, but without a token\n +1  used, split by their text: the key is NULL/,
		'each row is accounted for');

	# u64 texts at 16, tokens at 24; after the ids, an end and a part for each text.
	my $data = PostgreSQL::Test::Utils::slurp_file(store('films'), 0);
	my ($texts, $tokens) = unpack('x16 Q< Q<', $data);
	my @parts = unpack('C*', substr($data, -$texts));
	my %of_film;

	is($texts, 402, 'the store has them');
	push @{ $of_film{ $_ % 40 } }, $parts[ $_ - 1 ] for 1 .. 400;
	is(scalar(grep { my $first = $_->[0]; grep { $_ != $first } @$_ } values %of_film), 0, 'all texts of a film are in one part');
	my $validation = grep { $_->[0] == 1 } values %of_film;
	note("$validation of 40 films are validated on");
	ok($validation >= 2 && $validation <= 16, 'and about a fifth of the films is validated on');

	# The key is the first text column, and yet not the text.
	($code, $out, $err) =
	  pretrain('unnamed', '-q', 'SELECT film, plot FROM texts ORDER BY id', '--key=film', '--validation=0.2');
	is($code, 0, 'pretrain with a key and no --text') or diag($err);
	is(compare(store('films'), store('unnamed')), 0, 'the key is not taken for the text');
}

# ---- how much is validated on, which the model's card tells: counted, whatever the machine's speed

{
	my ($code, $out, $err) = pretrain('validated', '-q', 'SELECT text FROM big LIMIT 2000', '--objective=spans', '--length=16', '--span-min=4',
		'--batch-texts=100', '--steps=300', '--validation=0.1', '--threads=1');

	is($code, 0, 'spans of many texts') or diag($err);
	my $manifest = decode_json(PostgreSQL::Test::Utils::slurp_file("$dir/validated.run/manifest.json"));
	is($manifest->{validation_sequences}, 0.003 * 300 * 100, 'a part of what is trained on is validated on');
}

# ---- a million rows

# Exit code, stderr, and the most memory that was resident, in MB.
sub measured
{
	my @args = @_;
	my $peak = 0;
	my $log  = "$dir/measured.log";
	my $pid  = fork;

	die $! unless defined $pid;
	if ($pid == 0)
	{
		open STDOUT, '>', '/dev/null' or die $!;
		open STDERR, '>', $log or die $!;
		exec $tool, @args or die $!;
	}
	for (;;)
	{
		my $ended = waitpid($pid, 1) == $pid; # WNOHANG
		my $code  = $? >> 8;

		return ($code, PostgreSQL::Test::Utils::slurp_file($log), $peak / 1024) if $ended;
		if (open my $in, '<', "/proc/$pid/status")
		{
			/^VmHWM:\s+(\d+)/ and $peak = $1 for <$in>;
		}
		sleep 0.02;
	}
}

{
	my ($code, $err, $peak) = measured(arguments('big', '-q', $big));

	is($code, 0, 'a million rows') or diag($err);
	like($err, qr/1,000,000  used/, 'all are used');
	SKIP:
	{
		skip 'no /proc', 2 unless $peak;
		note(sprintf 'resident at most: %.0f MB', $peak);
		cmp_ok($peak, '<', 1024, 'in less than 1 GB');
		cmp_ok($peak, '<', 256, 'indeed in a quarter of that');
	}
}

# ---- the connection is lost

# Runs pretrain, and kills its connection `losses` times while the query runs.
sub pretrain_with_losses
{
	my ($losses, @args) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ $tool, @args ], '<', \undef, '>', \$out, '2>', \$err);

	for (1 .. $losses)
	{
		# A second and a third have to wait for a new connection.
		my $killed = $node->poll_query_until('postgres',
			"SELECT count(pg_terminate_backend(pid)) = 1 FROM pg_stat_activity
			 WHERE state = 'active' AND query = '$big'");
		die "the query was not seen: $err" unless $killed;
		$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE query = '$big'")
		  or die "the connection would not go";
	}
	IPC::Run::finish($run);
	return ($? >> 8, $out, $err);
}

{
	my ($code, $out, $err) = pretrain_with_losses(2, arguments('lost', '-q', $big));
	my @warnings = $err =~ /warning: the connection was lost after \d+ rows/g;

	is($code, 0, 'a connection lost twice') or diag($err);
	is(scalar(@warnings), 2, 'is told of twice');
	like($err, qr/Connecting again in 1 s.*Connecting again in 2 s/s, 'and waited for');
	is(compare(store('lost'), store('big')), 0, 'the texts are those of a run without a loss');
	is(compare("$dir/lost.safetensors", "$dir/big.safetensors"), 0, 'and so is the model, bit by bit');
}

# Ctrl-C ends the wait.
{
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start([ $tool, arguments('waiting', '-q', $big) ], '<', \undef, '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query = '$big'");
	$node->stop('immediate');
	$run->pump until $err =~ /Connecting again in 2 s/;
	$run->signal('INT');
	IPC::Run::finish($run);
	is($? >> 8, 130, 'Ctrl-C while waiting for a server: exit code 130');
	like($err, qr/interrupted/, 'and says so');
	ok(!-e store('waiting') . '.tmp', 'and leaves no half of a store');
	$node->start;
}

# A run goes on with the texts it began with: without its table, indeed without a server.
{
	my @long = ('-q', 'SELECT plot FROM texts ORDER BY id', '--steps=400', '--checkpoint-every=0.2');
	my ($code, $out, $err) = pretrain('whole', @long);
	my $run;

	is($code, 0, 'a run that nothing interrupts') or diag($err);
	($out, $err) = ('', '');
	$run = IPC::Run::start([ $tool, arguments('halved', @long) ], '<', \undef, '>', \$out, '2>', \$err);
	for (1 .. 1000)
	{
		last if -e "$dir/halved.run/checkpoint";
		sleep 0.02;
	}
	$run->kill_kill;
	ok(-e "$dir/halved.run/checkpoint", 'a run is killed after a checkpoint');
	ok(!-e "$dir/halved.safetensors", 'and before its end');
	$node->stop;
	($code, $out, $err) = pretrain('halved', @long, '--resume');
	is($code, 0, 'it is resumed without a server') or diag($err);
	is(compare("$dir/halved.safetensors", "$dir/whole.safetensors"), 0, 'to the same model, bit by bit');
}

done_testing();
