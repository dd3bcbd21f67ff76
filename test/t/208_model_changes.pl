# Models that change while others work: a transaction whose snapshot is too old is told so, a first call during a drop says
# what is true, no lock of ours makes a deadlock that nobody finds, and what fails leaves nothing mapped.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my %sum;
$sum{$_} = ModelFile::write_file("$dir/$_.safetensors", ModelFile::bytes(seed => ord $_)) for qw(a b c);

my $node = PostgreSQL::Test::Cluster->new('changes');
$node->init;
$node->start;
my $images = $node->data_dir . '/moviebert';
# Without the model that ships: what is counted here is this test's own.
$node->safe_psql('postgres', "CREATE EXTENSION moviebert; SELECT bert_drop_model('moviebert-1')");
$node->safe_psql('postgres', "SELECT bert_load_model('$_', '$dir/$_.safetensors')") for qw(a b);
$node->safe_psql('postgres', "SELECT bert_default_model('a')");
my %answer = map { $_ => $node->safe_psql('postgres', "SELECT md5(bert_embed('a ghost', '$_')::text)") } qw(a b);

my ($one, $other) = map { Session->new($node, 'postgres') } 1 .. 2;
sub waits_for_lock
{
	my $pid = shift;
	return $node->poll_query_until('postgres', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid");
}

# ---- Snapshots that are too old -----------------------------------------------------------------------------------
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	# The name is known, as all else in the system catalogs, but not in the snapshot that the command would use.
	my $refused = sub {
		my ($statement, $what) = @_;
		$one->query("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM bert_model");
		$other->query($_) for @_[ 2 .. $#_ ];
		die $other->error if $other->error =~ /ERROR/;
		$one->query($statement);
		is($one->sqlstate, '40001', "$level: $what: SQLSTATE 40001");
		my $error = $one->error;
		$one->query('ROLLBACK');
		return $error;
	};
	my $late = "SELECT bert_load_model('late', '$dir/c.safetensors')";

	my $error = $refused->("SELECT bert_drop_model('late')", 'a model newer than the snapshot is not dropped', $late);
	like($error, qr/could not serialize access due to concurrent change of model "late"\nHINT:  The transaction might succeed/, "$level: with the model's name");
	is($other->query("SELECT cardinality(bert_embed('a ghost', 'late'))"), '32', "$level: it is there");
	$other->query("SELECT bert_drop_model('late')");

	# The default is a name, and that one is taken.
	$one->query("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM bert_model");
	$other->query($late);
	is($one->query("SELECT bert_default_model('late'); SELECT bert_default_model()"), "\nlate", "$level: but made the default");
	$one->query('ROLLBACK');
	is($other->query('SELECT bert_default_model()'), 'a', "$level: the default is what it was");
	$other->query("SELECT bert_drop_model('late')");

	$refused->("SELECT bert_default_model('b')", 'a default newer than the snapshot is not replaced', $late, "SELECT bert_default_model('late')");
	is($other->query('SELECT bert_default_model()'), 'late', "$level: it is the default");
	$other->query("SELECT bert_drop_model('late')");
	$refused->('SELECT bert_default_model(NULL)', 'nor taken away', $late, "SELECT bert_default_model('late')");
	is($other->query('SELECT bert_default_model()'), 'late', "$level: it is still the default");
	$other->query("SELECT bert_drop_model('late'); SELECT bert_default_model('a')");

	$refused->("SELECT bert_default_model('b')", 'a default that was chosen since', "SELECT bert_default_model('b')");
	$other->query("SELECT bert_default_model('a')");

	# The row is old enough, but not its chunks.
	$other->query("CREATE TEMP TABLE aside AS SELECT * FROM bert_model_chunk WHERE sha256 = '$sum{b}'; DELETE FROM bert_model_chunk WHERE sha256 = '$sum{b}'");
	$refused->("SELECT bert_drop_model('b')", 'chunks newer than the snapshot are not left behind', 'INSERT INTO bert_model_chunk SELECT * FROM aside');
	$other->query('DROP TABLE aside');

	# And where nobody has changed anything it works.
	$one->query("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM bert_model");
	is($one->query("SELECT bert_default_model('b'); SELECT bert_default_model()"), "\nb", "$level: the default is chosen");
	is($one->query("SELECT bert_drop_model('b'); SELECT count(*) FROM bert_models"), "\n1", "$level: a model is dropped");
	$one->query('ROLLBACK');
}

# ---- A first call while the model goes ----------------------------------------------------------------------------
# The call has read the row and waits for the chunks, which another session has locked, when that one changes both.
sub first_call_during
{
	my @changes = @_;
	unlink glob("$images/*.fp32-1");
	my $session = Session->new($node, 'postgres');
	my $pid     = $session->pid;
	$other->query('BEGIN; LOCK TABLE bert_model_chunk');
	$session->send("SELECT md5(bert_embed('a ghost', 'b')::text)");
	waits_for_lock($pid) or die 'does not wait';
	$other->query($_) for @changes, 'COMMIT';
	die $other->error if $other->error =~ /ERROR/;
	my $result = $session->result;
	my @seen   = ($result, $session->sqlstate, $session->error);
	$session->close;
	return @seen;
}
my ($result, $sqlstate, $error) = first_call_during("SELECT bert_drop_model('b')");
is($sqlstate, '42704', 'dropped meanwhile: SQLSTATE 42704');
like($error, qr/model "b" does not exist/, 'dropped meanwhile: it does not exist');
$other->query("SELECT bert_load_model('b', '$dir/b.safetensors')");

($result, $sqlstate, $error) = first_call_during("SELECT bert_drop_model('b')", "SELECT bert_load_model('b', '$dir/a.safetensors')");
is($result, $answer{a}, 'dropped and loaded with other contents: those are used') or diag($error);
$other->query("SELECT bert_drop_model('b'); SELECT bert_load_model('b', '$dir/b.safetensors')");

($result, $sqlstate, $error) = first_call_during("SELECT bert_drop_model('b')", "SELECT bert_load_model('b', '$dir/b.safetensors')");
is($result, $answer{b}, 'dropped and loaded again: it works') or diag($error);

$other->query("CREATE TEMP TABLE aside AS SELECT * FROM bert_model_chunk WHERE sha256 = '$sum{b}'");
($result, $sqlstate, $error) = first_call_during("DELETE FROM bert_model_chunk WHERE sha256 = '$sum{b}'");
is($sqlstate, 'XX001', 'chunks deleted by hand: SQLSTATE XX001');
like($error, qr/model "b" is damaged in the database\nDETAIL:  There are no chunks/, 'chunks deleted by hand: that is what is said');
$other->query('INSERT INTO bert_model_chunk SELECT * FROM aside');
is($other->query("SELECT md5(bert_embed('a ghost', 'b')::text)"), $answer{b}, 'and when they are back it works');

# ---- Locks --------------------------------------------------------------------------------------------------------
# Who writes an image holds a lock that PostgreSQL does not know, and so must not wait for one of PostgreSQL's.
my $toast = $other->query(q{SELECT indexrelid::regclass FROM pg_index JOIN pg_class c ON indrelid = reltoastrelid WHERE c.oid = 'bert_model_chunk'::regclass});
for my $index ('bert_model_chunk_pkey', $toast)
{
	unlink glob("$images/*.fp32-1");
	my ($writer, $reindexer) = map { Session->new($node, 'postgres') } 1 .. 2;
	my $pid = $writer->pid;
	$reindexer->query("SET statement_timeout = '60s'");
	$reindexer->query("BEGIN; REINDEX INDEX $index");
	$writer->send("SELECT md5(bert_embed('a ghost', 'b')::text)");
	waits_for_lock($pid) or die 'does not wait';
	my $what = $index eq $toast ? 'the TOAST index' : 'the primary key';
	is($reindexer->query("SELECT md5(bert_embed('a ghost', 'b')::text)"), $answer{b}, "who reindexes $what can write the image that another waits to write");
	$reindexer->query('COMMIT');
	is($writer->result, $answer{b}, "$what: and then that one uses it");
	$_->close for $writer, $reindexer;
}

# ---- Failures leave nothing mapped --------------------------------------------------------------------------------
SKIP:
{
	skip 'no /proc', 4 unless -r "/proc/$$/maps";
	my $pid    = $one->pid;
	my $mapped = sub { return scalar grep { /\(deleted\)/ } split /\n/, slurp_file("/proc/$pid/maps") };
	my $before = $mapped->();
	for (1 .. 10)
	{
		$one->query("SELECT bert_load_model('a', '$dir/b.safetensors')");
		die 'no error' if $one->sqlstate ne '42710';
	}
	is($mapped->(), $before, 'other contents for a name that is taken');
	$one->query("SELECT bert_load_model('a', '$dir/a.safetensors')") for 1 .. 10;
	is($mapped->(), $before, 'the same contents again');
	$other->query('BEGIN; LOCK TABLE bert_model');
	$one->query("SET lock_timeout = '5ms'");
	for (1 .. 10)
	{
		$one->query("SELECT bert_load_model('n', '$dir/a.safetensors')");
		die 'no error' if $one->sqlstate ne '55P03';
	}
	$other->query('ROLLBACK');
	is($mapped->(), $before, 'a lock that is not to be had');
	$one->query('SET lock_timeout = 0');
	for (1 .. 10)
	{
		$one->query("SELECT bert_load_model('n', '$INC[0]/ModelFile.pm')");
		die $one->error if $one->sqlstate ne '22P03';
	}
	is($mapped->(), $before, 'a file that is no model');
}

$_->close for $one, $other;
$node->stop;
done_testing();
