# A streaming standby computes what the primary computes, and sees what changes there; logical replication carries models
# to another server.
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
$sum{$_} = ModelFile::write_file("$dir/$_.safetensors", ModelFile::bytes(hidden => 128, vocab => 3000, seed => ord $_)) for qw(a b c);

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION moviebert');
$primary->safe_psql('postgres', "SELECT bert_load_model('a', '$dir/a.safetensors'); SELECT bert_default_model('a')");
my $embed = "SELECT md5(bert_embed('a ghost loves the robot')::text)";
my $shipped = "SELECT md5(bert_embed('a ghost loves the robot', 'moviebert-1')::text)";
my $answer_a = $primary->safe_psql('postgres', $embed);

# ---- A physical standby -------------------------------------------------------------------------------------------
# A temporary file of an image does not go into the backup.
my $stale = $primary->data_dir . "/moviebert/pgsql_tmp.$sum{b}.fp32-1";
ModelFile::write_file($stale, 'x' x 1000);
$primary->backup('backup');
ok(!-e $primary->backup_dir . "/backup/moviebert/pgsql_tmp.$sum{b}.fp32-1", 'a base backup leaves out what is being written');
unlink $stale;

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
# As if it had been made before the first call.
unlink glob($standby->data_dir . '/moviebert/*');
$standby->start;
my $session = Session->new($standby, 'postgres');
is($session->query($embed), $answer_a, 'the standby gives the primary\'s numbers, from an image of its own');
ok(-e $standby->data_dir . "/moviebert/$sum{a}.fp32-1", 'which it has written');

my $log_at = -s $standby->logfile;
$primary->safe_psql('postgres', "SELECT bert_load_model('b', '$dir/b.safetensors')");
$primary->safe_psql('postgres', "SELECT bert_default_model('b')");
my $answer_b = $primary->safe_psql('postgres', $embed);
$primary->wait_for_catchup($standby);
is($session->query($embed), $answer_b, 'a session of the standby sees the new model and the new default');
isnt($answer_b, $answer_a, 'which is another');
is($session->query($shipped), $primary->safe_psql('postgres', $shipped), 'and the model that ships, which came by the WAL too');

$session->query("SELECT bert_load_model('x', '$dir/c.safetensors')");
is($session->sqlstate, '25006', 'a model cannot be loaded there');
$session->query("SELECT bert_drop_model('a')");
is($session->sqlstate, '25006', 'nor dropped');
$session->query("SELECT bert_default_model('a')");
is($session->sqlstate, '25006', 'nor made the default');

$primary->safe_psql('postgres', "SELECT bert_default_model('a'); SELECT bert_drop_model('b')");
$primary->wait_for_catchup($standby);
is($session->query($embed), $answer_a, 'the default goes back');
$session->query("SELECT bert_embed('a ghost', 'b')");
is($session->sqlstate, '42704', 'and the dropped one is gone');

$standby->promote;
is($session->query($embed), $answer_a, 'promoted, it goes on');
is($session->query("SELECT bert_load_model('c', '$dir/c.safetensors')"), $sum{c}, 'and takes new models');
$session->close;
$standby->stop;

# ---- Logical replication ------------------------------------------------------------------------------------------
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE EXTENSION moviebert');
$primary->safe_psql('postgres', 'CREATE PUBLICATION models FOR TABLE bert_model, bert_model_chunk, bert_default');
my $connection = $primary->connstr('postgres') =~ s/'/''/gr;
$session = Session->new($subscriber, 'postgres');
# Both have the model that ships, each by its CREATE EXTENSION: the publisher's rows of it are no second ones.
my $answer_shipped = $session->query($shipped);
is($session->query($embed), $answer_shipped, 'the subscriber has the model that ships, and no other yet');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION models CONNECTION '$connection' PUBLICATION models");
$subscriber->poll_query_until('postgres', q{SELECT count(*) = 3 FROM pg_subscription_rel WHERE srsubstate = 'r'}) or die 'no initial copy';
is($session->query($embed), $answer_a, 'after the initial copy it has the model, and the default, in a session that looked before');
is($session->query($shipped), $answer_shipped, 'and goes on having the one that ships');
$primary->safe_psql('postgres', "SELECT bert_load_model('b', '$dir/b.safetensors')");
$primary->wait_for_catchup('models');
is($session->query("SELECT md5(bert_embed('a ghost loves the robot', 'b')::text)"), $answer_b, 'a model loaded later arrives');
$primary->safe_psql('postgres', "SELECT bert_default_model('b')");
$primary->wait_for_catchup('models');
is($session->query($embed), $answer_b, 'a new default is seen');
$primary->safe_psql('postgres', "SELECT bert_default_model('a'); SELECT bert_drop_model('b')");
$primary->wait_for_catchup('models');
is($session->query($embed), $answer_a, 'and so is the next');
$session->query("SELECT bert_embed('a ghost', 'b')");
is($session->sqlstate, '42704', 'a drop arrives');
$primary->safe_psql('postgres', 'TRUNCATE bert_model, bert_model_chunk');
$primary->wait_for_catchup('models');
$session->query($embed);
is($session->sqlstate, '42704', 'and so does TRUNCATE');

# The row before its chunks: an error that says what is missing, until they come.
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION models');
my $other = Session->new($subscriber, 'postgres');
$other->query("SELECT bert_load_model('c', '$dir/c.safetensors')");
$other->query('CREATE TABLE aside AS SELECT * FROM bert_model_chunk; DELETE FROM bert_model_chunk');
unlink glob($subscriber->data_dir . '/moviebert/*.fp32-1');
$session->query("SELECT bert_embed('a ghost', 'c')");
is($session->sqlstate, 'XX001', 'a row without its chunks is an error');
like($session->error, qr/There are no chunks/, 'which says so');
$other->query('INSERT INTO bert_model_chunk SELECT * FROM aside');
is($session->query("SELECT cardinality(bert_embed('a ghost', 'c'))"), '128', 'until they are there');

$_->close for $session, $other;
$subscriber->stop;
$primary->stop;
done_testing();
