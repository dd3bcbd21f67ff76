# pg_dump and restore into another server: the models work there, with the same numbers, the same default, and with the
# tables and triggers that use them.  What CREATE EXTENSION brings is in no dump, and in nobody's way.  340 restores columns
# and indexes that run BERT.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
# More than one chunk.
ModelFile::write_file("$dir/m.safetensors", ModelFile::bytes(hidden => 128, vocab => 3000));
ModelFile::write_file("$dir/n.safetensors", ModelFile::bytes(seed => 2));

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;

my $setup = <<'SQL';
SELECT bert_load_model('m', :'dir' || '/m.safetensors'), bert_load_model('n', :'dir' || '/n.safetensors'),
       bert_load_model('alias', :'dir' || '/m.safetensors');
SELECT bert_default_model('n');
CREATE TABLE public.a_film (id int PRIMARY KEY, plot text, embedding real[]);
CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON public.a_film FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('embedding', 'plot', 'model=m');
INSERT INTO public.a_film SELECT i, 'a ghost loves the robot w' || (i + 20) FROM generate_series(1, 20) i;
SQL

# What must be equal: contents, and answers.
my $state = <<'SQL';
SELECT name, sha256, size, kind, dimensions, is_default, card, CASE WHEN name <> 'moviebert-1' THEN created END FROM bert_models ORDER BY name;
SELECT name, shipped FROM bert_model ORDER BY name;
SELECT sha256, count(*), sum(length(data)), bool_and(shipped), bool_or(shipped) FROM bert_model_chunk GROUP BY sha256 ORDER BY sha256;
SELECT md5(bert_embed('a ghost', 'm')::text), md5(bert_embed('a ghost', 'alias')::text), md5(bert_embed('a ghost')::text);
SELECT md5(bert_embed('a ghost', 'moviebert-1')::text), bert_default_model();
SELECT md5(string_agg(embedding::text, ' ' ORDER BY id)) FROM public.a_film;
SQL
my $later = <<'SQL';
INSERT INTO public.a_film VALUES (100, 'a ghost loves the robot w21');
SELECT embedding = (SELECT embedding FROM public.a_film WHERE id = 1) FROM public.a_film WHERE id = 100;
SQL

sub psql_in
{
	my ($node, $database, $sql) = @_;
	my ($out, $err);
	$node->psql($database, qq{SET search_path = public, "Movie Bert", zoo;\n$sql}, stdout => \$out, stderr => \$err,
		on_error_die => 1, extra_params => [ '-q', '-v', "dir=$dir" ]);
	return $out;
}

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->start;

# A database of the new server to restore into, and its connection string.  No image of a former one helps.
sub new_database
{
	my $name = shift;
	$new->safe_psql('postgres', "CREATE DATABASE $name");
	unlink glob($new->data_dir . '/moviebert/*');
	return $new->connstr($name);
}

# The schema of the last one is renamed while it is in use: nothing goes by its name.
for my $schema ('public', '"Movie Bert"', 'zoo')
{
	my $word     = $schema =~ s/\W//gr;
	my $database = lc "db_$word";
	$old->safe_psql('postgres', "CREATE DATABASE $database");
	my $first = $schema eq 'zoo' ? 'stable' : $schema;
	$old->safe_psql($database, "CREATE SCHEMA IF NOT EXISTS $first; CREATE EXTENSION moviebert SCHEMA $first");
	$old->safe_psql($database, 'ALTER SCHEMA stable RENAME TO zoo') if $first ne $schema;
	psql_in($old, $database, $setup);
	my $expected = psql_in($old, $database, $state);
	like($expected, qr/^alias\|\w{64}\|.*^n\|\w{64}\|\d+\|encoder\|32\|t\|/ms, "$schema: two models and an alias, one the default");

	for my $how ('plain', 'custom', 'directory')
	{
		my $copy = "${database}_$how";
		my $to   = new_database($copy);
		my $dump = "$dir/$database.$how";
		command_ok([ 'pg_dump', '-F', $how, '-f', $dump, '-d', $old->connstr($database) ], "$schema: pg_dump, $how");
		my @restore =
			$how eq 'plain' ? ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $to)
		  : $how eq 'custom' ? ('pg_restore', '--exit-on-error', '-d', $to, $dump)
		  :                    ('pg_restore', '--exit-on-error', '-j', '2', '-d', $to, $dump);
		command_ok(\@restore, "$schema: restore, $how");
		is(psql_in($new, $copy, $state), $expected, "$schema: restored from $how, all is what it was");
		is(psql_in($new, $copy, $later), 't', "$schema: restored from $how, the trigger goes on filling");
	}
}

# ---- The default, and models that meet the one that ships -------------------------------------------------------------
# Each state of the old database, set up by SQL, and what must be said of the new one, which is the old one's unless given.
my $ship = "SELECT sha256 FROM bert_model WHERE name = 'moviebert-1'";
my $size = -s ModelFile::shipped();
my $choice = "SELECT bert_default_model(); SELECT name, shipped, sha256, is_default FROM bert_models JOIN bert_model USING (name, sha256) ORDER BY name";
my @cases = (
	[ 'nothing was chosen',          '' ],
	[ 'none was chosen',             'SELECT bert_default_model(NULL)' ],
	[ 'the one that ships was chosen', "SELECT bert_default_model('moviebert-1')" ],
	[ 'another was chosen',          "SELECT bert_load_model('n', :'dir' || '/n.safetensors'); SELECT bert_default_model('n')" ],
	[ 'another name for its bytes',  "SELECT bert_register_model('mine', sha256) FROM bert_models; SELECT bert_default_model('mine')", 1 ],
	[ 'its bytes under another name, without it',
		"SELECT bert_register_model('mine', sha256) FROM bert_models; SELECT bert_drop_model('moviebert-1')", 1,
		sub { my $s = shift; $s =~ s/^(mine\|0\|(\w+)\|f)/$1\nmoviebert-1|1|$2|f/m; $s } ],
	[ 'it was dropped', "SELECT bert_drop_model('moviebert-1')", 0, sub { my $s = shift; "${s}moviebert-1|1|SHIPPED|f" } ],
	[ 'its name was used for another',
		"SELECT bert_drop_model('moviebert-1'); SELECT bert_load_model('moviebert-1', :'dir' || '/n.safetensors'); SELECT bert_default_model('moviebert-1')" ],
	[ 'its name was used for its bytes, by hand',
		"SELECT bert_drop_model('moviebert-1'); SELECT bert_load_model('moviebert-1', '" . ModelFile::shipped() . "')", 1 ]);
my $number = 0;
for my $case (@cases)
{
	my ($what, $sql, $carried, $change) = @$case;
	my $database = 'choice_' . ++$number;
	$old->safe_psql('postgres', "CREATE DATABASE $database");
	$old->safe_psql($database, 'CREATE EXTENSION moviebert');
	my $sum = $old->safe_psql($database, $ship);
	psql_in($old, $database, $sql);
	my $expected = psql_in($old, $database, $choice);
	$expected = $change->($expected =~ s/\n?\z/\n/r) =~ s/SHIPPED/$sum/r =~ s/\n\z//r if $change;
	command_ok([ 'pg_dump', '-Fd', '-Z0', '-f', "$dir/$database", '-d', $old->connstr($database) ], "$what: pg_dump");
	my $bytes = 0;
	$bytes += -s for glob "$dir/$database/*";
	# In text a byte takes two.
	cmp_ok($bytes, $carried ? '>' : '<', $carried ? 2 * $size : $size / 2, "$what: " . ($carried ? 'carries its bytes' : 'does not carry it'));
	my $to = new_database($database);
	command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $to, "$dir/$database" ], "$what: restore");
	is(psql_in($new, $database, $choice), $expected, "$what: restored as it was");
	is(psql_in($new, $database, 'SELECT count(*) FROM bert_models WHERE cardinality(bert_embed($$a ghost$$, name)) IS NULL'), '0', "$what: all models work");
}

# pg_upgrade takes the tables as they are, and runs no CREATE EXTENSION.
{
	my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
	$upgraded->init;
	my %before = map { $_ => psql_in($old, $_, $choice) } 'choice_1', 'choice_4', 'choice_7';
	$old->stop;
	my ($bin) = map { chomp; $_ } `$ENV{PG_CONFIG} --bindir`;
	chdir PostgreSQL::Test::Utils::tempdir();
	my @command = ('pg_upgrade', '--no-sync', '-b', $bin, '-B', $bin, '-d', $old->data_dir, '-D', $upgraded->data_dir,
		'-p', $old->port, '-P', $upgraded->port, '-s', $old->host, '-U', scalar getpwuid($<));
	my $output = '';
	ok(IPC::Run::run(\@command, '>&', \$output), 'pg_upgrade') or diag($output);
	$upgraded->start;
	is(psql_in($upgraded, $_, $choice), $before{$_}, "pg_upgrade: $_ is as it was") for sort keys %before;
	is($upgraded->safe_psql('choice_1', "SELECT cardinality(bert_tags('A detective hunts a killer.', 1))"), '1', 'pg_upgrade: it works');
	$upgraded->stop;
	$old->start;
}

$new->stop;
$old->stop;
done_testing();
