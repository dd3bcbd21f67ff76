# pg_dump and restore into another server: the models work there, with the same numbers, the same default, and with the
# tables and triggers that use them.  340 restores columns and indexes that run BERT.
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
SELECT name, sha256, size, kind, dimensions, is_default, card, created FROM bert_models ORDER BY name;
SELECT sha256, count(*), sum(length(data)) FROM bert_model_chunk GROUP BY sha256 ORDER BY sha256;
SELECT md5(bert_embed('a ghost', 'm')::text), md5(bert_embed('a ghost', 'alias')::text), md5(bert_embed('a ghost')::text);
SELECT bert_default_model();
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

$new->stop;
$old->stop;
done_testing();
