# finetune that trains the encoder: what it learns, what it leaves alone, its run's folder, killed and resumed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('tool_finetune_full');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

# A tag that no linear head on a mean of vectors can see well: whether two words of a text are of one kind.
my @left  = qw(ghost grave scream night);
my @right = qw(kiss wedding heart dance);
my @plain = qw(the a of in house door walks sees old city);
TinyCheckpoint::write_checkpoint("$dir/tiny", words => [ @left, @right, @plain ], layers => 2);
my $base = "$dir/tiny.safetensors";
my ($code, $out, $err) = tool('import', "$dir/tiny", '-o', $base);
is($code, 0, 'import') or diag($err);

my $random = TinyCheckpoint::generator(11);
sub pick { my $n = @_; return $_[ int(abs($random->() * 1000)) % $n ]; }
my @rows;
for my $i (1 .. 1200)
{
	my @sides = (pick(0, 1), pick(0, 1));
	my @words = (map({ pick($_ ? @left : @right) } @sides), map { pick(@plain) } 1 .. 4);
	my @tags  = $sides[0] == $sides[1] ? 'pure' : 'mixed';
	push @tags, 'dark' if grep { $_ eq $words[0] || $_ eq $words[1] } @left;
	# Every third row's source does not know of "dark".
	my $scope = $i % 3 == 0 ? '{pure,mixed}' : '\N';
	@tags = grep { $_ ne 'dark' } @tags if $i % 3 == 0;
	my $long = $i % 50 == 0 ? ' the old house' x 70 : '';
	push @rows, join("\t", $i, "@words$long", '{' . join(',', @tags) . '}', $scope);
}
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert; CREATE TABLE movies (id int, plot text, tags text[], scope text[])');
TinyCheckpoint::spew("$dir/rows.tsv", join("\n", @rows) . "\n");
$node->safe_psql('postgres', "\\copy movies FROM '$dir/rows.tsv'");

my @query = ('-q', 'SELECT plot, tags, id, scope FROM movies', '--key=id', '--scope=scope', '--validation=0.2', '--test=0.2', @where);
my @fast  = ('--rate=2e-3', '--epochs=12', '--dropout=0', '--head-rate=3', '--patience=0', '--quiet', '--threads=2');

# ---- mistakes --------------------------------------------------------------------------------------------------------

for my $case (
	[ [ '--freeze=most' ],           2, qr/invalid value "most" for --freeze/, 'freeze what' ],
	[ [ '--freeze=3' ],              1, qr/the model has 2 layers, so that 3 cannot be frozen/, 'more layers than there are' ],
	[ [ '--freeze=all', '--resume' ], 2, qr/--freeze=all has no use for --resume/, 'a run of the head alone' ],
	[ [ '--freeze=all' ],            2, qr/--freeze=all has no use for --epochs/, 'how long to train what is not trained' ],
	[ [ '--resume', '--restart' ],   2, qr/contradict each other/, 'resume and restart' ],
	[ [ '--resume' ],                1, qr/folder ".*" holds no run to resume\nHINT:/, 'nothing to resume' ],
	[ [ '--length=100' ],            1, qr/windows of 100 tokens do not fit a model of 64 positions/, 'windows that do not fit' ],
	[ [ '--scope=nope' ],            1, qr/no column "nope" for the scope/, 'no column of scopes' ],
	[ [ '--scope=plot' ],            1, qr/column "plot" is not an array of tags.*--scope/s, 'scopes that are no arrays' ],)
{
	($code, $out, $err) = tool('finetune', '-m', $base, '-o', "$dir/none", @query, @fast, @{ $case->[0] });
	is($code, $case->[1], "$case->[3]: exit code $case->[1]") or diag($err);
	like($err, $case->[2], "$case->[3]: message");
	ok(!-e "$dir/none", "$case->[3]: nothing is written");
}

# ---- it learns -------------------------------------------------------------------------------------------------------

my $whole = "$dir/whole.safetensors";
($code, $out, $err) = tool('finetune', '-m', $base, '-o', $whole, '--freeze=none', @query, @fast);
is($code, 0, 'finetune') or diag($err);
my $card = decode_json((tool('info', '--json', $whole))[1])->{card};
my ($probe, $trained) = ($card->{training}{linear_probe}{test}, $card->{metrics}{test});
note("macro AP on the test part: probe $probe->{macro_ap}, trained $trained->{macro_ap}");
cmp_ok($probe->{macro_ap},   '<', 0.85, 'the head alone does not see the rule');
cmp_ok($trained->{macro_ap}, '>', 0.95, 'the trained encoder does');
cmp_ok($trained->{macro_ap} - $probe->{macro_ap}, '>', 0.1, 'by a margin');
cmp_ok($trained->{ece}, '<', 0.1, 'and is calibrated');
is($card->{data}{rows}{query}{scoped}, 400, 'the card says how many rows have a scope');
my ($dark) = grep { $_->{tag} eq 'dark' } @{ $trained->{per_tag} };
cmp_ok($dark->{known}, '<', $trained->{rows}, 'a tag that sources do not know is measured on the other rows');
is($trained->{unknown_pairs}, $trained->{rows} - $dark->{known}, 'and its unknown pairs are counted');

# ---- the run's folder --------------------------------------------------------------------------------------------------

my $run = "$whole.run";
my $manifest = decode_json(slurp_file("$run/manifest.json"));
is($manifest->{options}{epochs}, 12, 'the manifest has the options');
my @lines = map { decode_json($_) } split /\n/, slurp_file("$run/metrics.jsonl");
my @validations = grep { $_->{type} eq 'validation' } @lines;
cmp_ok(scalar @validations, '>=', 20, 'validations twice an epoch');
my ($best) = sort { $b <=> $a } map { $_->{macro_ap} } @validations;
my ($final) = grep { $_->{type} eq 'final' } @lines;
cmp_ok(abs($final->{validation}{macro_ap} - $best), '<', 1e-3, 'what is written is the best of them');
is_deeply($final->{$_}, $trained, "the last line has the metrics ($_)") for qw(test metrics);
is($final->{calibration}{pairs}, $trained->{rows} * 3 - $trained->{unknown_pairs}, 'and how scores compare with what is true');
like(slurp_file("$run/report.html"), qr/fine-tuning.*<svg/s, 'the run has a page');
($code, $out, $err) = tool('finetune', '-m', $base, '-o', $whole, @query, @fast);
is($code, 1, 'a folder with a run is not written over');
like($err, qr/holds a run.*--resume.*--restart/s, 'and the message says what to do');

# ---- SQL says what finetune measured ---------------------------------------------------------------------------------

($code, $out, $err) = tool('install', $whole, '--name=whole', '--default', @where);
is($code, 0, 'install') or diag($err);
($code, $out, $err) = tool('evaluate', '-m', $whole, @where, '--json', '--quiet', '--scope=scope', '-q', 'SELECT plot, tags, scope FROM movies');
is($code, 0, 'evaluate') or diag($err);
my $evaluation = decode_json($out)->{metrics};
my %hits = split /\||\n/, $node->safe_psql(
	'postgres', q{
	SELECT t, count(*) FILTER (WHERE t = ANY (tags)) || '/' || count(*) FROM movies, unnest(bert_tags(plot)) t
	WHERE scope IS NULL OR t = ANY (scope) OR t = ANY (tags) GROUP BY t});
for my $tag (@{ $evaluation->{per_tag} })
{
	my $hits = int($tag->{precision} * $tag->{predicted} + 0.5);
	is($hits{ $tag->{tag} } // '0/0', "$hits/$tag->{predicted}", "bert_tags in SQL predicts $tag->{tag} as evaluate says");
}
# The test part by itself, as the tool split it: the same metrics to the last digit.
my $ids = join ',', $node->safe_psql(
	'postgres', q{
	SELECT string_agg(id::text, ',') FROM movies
	WHERE ('x' || encode(substr(sha256(convert_to('1:' || id, 'UTF8')), 1, 8), 'hex'))::bit(64)::bit(53)::bigint / 9007199254740992.0 < 0.2});
($code, $out, $err) = tool('evaluate', '-m', $whole, @where, '--json', '--quiet', '--scope=scope',
	'-q', "SELECT plot, tags, scope FROM movies WHERE id IN ($ids)");
my $again = decode_json($out)->{metrics};
is($again->{rows}, $trained->{rows}, 'the test part is the one of the split');
is($again->{$_}, $trained->{$_}, "evaluate measures the same $_") for qw(macro_ap micro_ap ece unknown_pairs);

# ---- what is frozen stays ------------------------------------------------------------------------------------------------

# The tensors of a model file by name, as their bytes.
sub tensors
{
	my $bytes = slurp_file(shift);
	my $size = unpack('Q<', substr($bytes, 0, 8));
	my $header = decode_json(substr($bytes, 8, $size));
	delete $header->{__metadata__};
	return map {
		my ($from, $to) = @{ $header->{$_}{data_offsets} };
		$_ => substr($bytes, 8 + $size + $from, $to - $from)
	} keys %$header;
}
my %before = tensors($base);
for my $freeze ('none', 'embeddings', 1, 2)
{
	my $file = "$dir/freeze-$freeze.safetensors";
	($code, $out, $err) = tool('finetune', '-m', $base, '-o', $file, "--freeze=$freeze", @query, @fast, '--epochs=3');
	is($code, 0, "--freeze=$freeze") or diag($err);
	my %after = tensors($file);
	my @same = sort grep { !/^(classifier|pooler|cls)\./ && $after{$_} eq $before{$_} } keys %after;
	my @frozen = sort grep {
		my ($layer) = /^encoder\.layer\.(\d+)\./;
		(/^embeddings\./ && $freeze ne 'none') || (defined $layer && $freeze =~ /^\d/ && $layer < $freeze)
	} keys %after;
	# What no token touches does not move either: positions beyond the longest text and token type 1 are rows, not tensors.
	is_deeply(\@same, \@frozen, "--freeze=$freeze leaves exactly those tensors as they were");
}

# ---- killed, resumed, threads ----------------------------------------------------------------------------------------

my @steady = ('-m', $base, '--freeze=none', @query, @fast, '--epochs=6', '--dropout=0.1', '--checkpoint-every=0');
sub sha256 { my ($sum) = split ' ', `sha256sum $_[0]`; return $sum; }
($code) = tool('finetune', @steady, '-o', "$dir/two.safetensors", '--threads=2');
($code) = tool('finetune', @steady, '-o', "$dir/one.safetensors", '--threads=1');
is(sha256("$dir/one.safetensors"), sha256("$dir/two.safetensors"), 'one thread and two: the same file');

for my $threads (1, 2)
{
	my $file = "$dir/killed-$threads.safetensors";
	my @command = ('finetune', @steady, '-o', $file, "--threads=$threads");
	my $pid = fork() // die 'fork';
	if ($pid == 0)
	{
		open STDERR, '>', '/dev/null';
		exec $tool, @command or exit 127;
	}
	# Not before some steps are saved.
	for (1 .. 600)
	{
		my $metrics = -e "$file.run/metrics.jsonl" ? slurp_file("$file.run/metrics.jsonl") : '';
		last if () = $metrics =~ /"saved"/g and ($metrics =~ tr/\n//) > 20;
		usleep(20_000);
	}
	kill 'KILL', $pid;
	waitpid $pid, 0;
	ok(!-e $file, "killed with $threads threads: no model yet");
	# The table is another now; the run is not.
	$node->safe_psql('postgres', 'UPDATE movies SET tags = \'{other}\'') if $threads == 2;
	($code, $out, $err) = tool(@command, '--resume', '-d', 'host=/nowhere');
	is($code, 0, "resumed with $threads threads") or diag($err);
	is(sha256($file), sha256("$dir/two.safetensors"), 'the same file as without the kill');
}
($code, $out, $err) = tool('finetune', @steady, '-o', "$dir/killed-1.safetensors", '--resume', '--rate=1e-4');
is($code, 1, 'a run is not resumed with other options');
like($err, qr/the run in ".*killed-1\.safetensors\.run" is of other options\nDETAIL:  Its rate is \S+, not 0\.0001\.\nHINT:/, 'and the message says which');
# Nor before its first checkpoint.
unlink "$dir/killed-1.safetensors.run/checkpoint" or die $!;
($code, $out, $err) = tool('finetune', @steady, '-o', "$dir/killed-1.safetensors", '--resume', '--batch=7');
is($code, 1, 'nor before it has a checkpoint');
like($err, qr/Its batch is \d+, not 7\./, 'the message says which here too');
$node->safe_psql('postgres', "TRUNCATE movies; COPY movies FROM '$dir/rows.tsv'");

# Ctrl-C saves, and says how to go on.
my $file = "$dir/stopped.safetensors";
my $pid = fork() // die 'fork';
if ($pid == 0)
{
	open STDERR, '>', "$dir/stopped.err";
	exec $tool, 'finetune', (grep { $_ ne '--quiet' } @steady), '-o', $file, '--epochs=100';
	exit 127;
}
for (1 .. 600)
{
	last if -e "$file.run/metrics.jsonl" && slurp_file("$file.run/metrics.jsonl") =~ /"step"/;
	usleep(20_000);
}
kill 'INT', $pid;
waitpid $pid, 0;
is($? >> 8, 130, 'SIGINT: exit code 130');
like(slurp_file("$dir/stopped.err"), qr/Saved after step \d+.*To go on: moviebert finetune .*--resume/s, 'it saves and says how to go on');

# A run that has stopped early, or ended, stays where it is when it is resumed.
my @early = ('-m', $base, '--freeze=none', @query, @fast, '--epochs=30', '--patience=2', '--rate=8e-3', '--run', "$dir/early.run");
($code, $out, $err) = tool('finetune', @early, '-o', "$dir/early.safetensors");
is($code, 0, 'early stopping') or diag($err);
ok(scalar(grep { /"stopped_early"/ } split /\n/, slurp_file("$dir/early.run/metrics.jsonl")), 'stops early');
my $stopped_at = decode_json((tool('info', '--json', "$dir/early.safetensors"))[1])->{card}{training}{steps};
cmp_ok($stopped_at, '<', 30 * 22, 'before its last step');
($code, $out, $err) = tool('finetune', @early, '-o', "$dir/early.safetensors.2", '--resume');
is($code, 0, 'resumed') or diag($err);
is(sha256("$dir/early.safetensors.2"), sha256("$dir/early.safetensors"), 'it stays stopped');

# ---- other shapes ----------------------------------------------------------------------------------------------------

my $pooler = "$dir/pooler.safetensors";
($code, $out, $err) = tool('finetune', '-m', $base, '-o', $pooler, '--pooling=pooler', '--freeze=none', @query, @fast, '--precision=fp16');
is($code, 0, '--pooling=pooler --precision=fp16') or diag($err);
my $info = decode_json((tool('info', '--json', $pooler))[1]);
is($info->{kind}, 'classifier', 'makes a classifier');
cmp_ok($info->{card}{metrics}{test}{macro_ap}, '>', 0.9, 'that has learned');
($code, $out, $err) = tool('export', $pooler, '-o', "$dir/exported");
is($code, 0, 'and can be exported') or diag($err);
is_deeply(decode_json(slurp_file("$dir/exported/config.json"))->{architectures}, ['BertForSequenceClassification'], 'as that class');

my @near = ('-m', $base, '--freeze=none', @query, @fast, '--epochs=4');
my %distance;
($code, $out, $err) = tool('install', $base, '--name=base', @where);
is($code, 0, 'install the base') or diag($err);
for my $keep (0, 10)
{
	my $kept = "$dir/keep-$keep.safetensors";
	($code, $out, $err) = tool('finetune', @near, '-o', $kept, "--keep-similarity=$keep", '--loss=asymmetric', '--imbalance=pos-weight');
	is($code, 0, "--keep-similarity=$keep, asymmetric loss, weighed positives") or diag($err);
	($code, $out, $err) = tool('install', $kept, "--name=keep-$keep", @where);
	is($code, 0, 'install it') or diag($err);
	$distance{$keep} = $node->safe_psql('postgres', "SELECT avg(1 - bert_similarity(bert_embed(plot, 'keep-$keep'), bert_embed(plot, 'base'))) FROM movies WHERE id < 200");
}
note("mean cosine distance to the base: $distance{0}, kept $distance{10}");
cmp_ok($distance{10}, '<', 0.5 * $distance{0}, 'embeddings stay nearer to the base\'s where they are told to');

# A teacher: of "dark" only ten rows say anything, and it knows the rest.
my @taught = ('-m', $base, '--freeze=none', @fast, @where, '--key=id', '--scope=scope', '--validation=0.2', '--min-support=2', '--epochs=6',
	'-q', "SELECT plot, CASE WHEN id < 16 THEN tags ELSE array_remove(tags, 'dark') END AS tags, id, "
	  . "CASE WHEN id < 16 THEN NULL ELSE '{pure,mixed}'::text[] END AS scope FROM movies WHERE id % 3 <> 0",
	'--test-query', 'SELECT plot, tags, id, scope FROM movies WHERE id % 3 <> 0 AND id > 900');
my %dark_ap;
for my $teacher ([], [ '--teacher', $whole ])
{
	my $student = "$dir/student" . @$teacher . '.safetensors';
	($code, $out, $err) = tool('finetune', @taught, '-o', $student, @$teacher);
	is($code, 0, "finetune @$teacher") or diag($err);
	my ($tag) = grep { $_->{tag} eq 'dark' } @{ decode_json((tool('info', '--json', $student))[1])->{card}{metrics}{test}{per_tag} };
	$dark_ap{ scalar @$teacher } = $tag->{ap};
}
note("AP of the tag that few rows tell of: $dark_ap{0}, with a teacher $dark_ap{2}");
cmp_ok($dark_ap{2}, '>', $dark_ap{0}, 'a teacher tells of tags that rows do not');
($code, $out, $err) = tool('finetune', @taught, '-o', "$dir/none", '--teacher', $base);
is($code, 1, 'a teacher without tags: exit code 1');
like($err, qr/the teacher ".*" does not give tags/, 'a teacher without tags: message');
($code, $out, $err) = tool('finetune', @taught, '-o', "$dir/none", '--teacher', $whole, '--loss=asymmetric');
is($code, 2, 'a teacher and a loss that bends probabilities: exit code 2');

# From the prior there is no probe, whether or not the base's embeddings are wanted; and a single layer's embeddings are trained.
TinyCheckpoint::write_checkpoint("$dir/one", words => [ @left, @right, @plain ], layers => 1);
tool('import', "$dir/one", '-o', "$dir/one.safetensors");
for my $keep (0, 1)
{
	my $prior = "$dir/prior$keep.safetensors";
	($code, $out, $err) = tool('finetune', '-m', "$dir/one.safetensors", '-o', $prior, @query, '--start=prior', "--keep-similarity=$keep", '--rate=2e-3', '--head-rate=3', '--epochs=2');
	is($code, 0, "from the prior, --keep-similarity=$keep") or diag($err);
	like($err, qr/Plan: nothing is frozen \(\d+ training rows, 1 layer\)/, 'nothing is frozen');
	unlike($err, qr/Linear probe/, 'no probe');
	my ($first, @others) = map { $_->{macro_ap} } grep { $_->{type} eq 'validation' } map { decode_json($_) } split /\n/, slurp_file("$prior.run/metrics.jsonl");
	cmp_ok($others[-1], '>', $first, 'and it learns');
}

# Fewer than 10,000 rows: half of the layers by default, and the plan says so.
($code, $out, $err) = tool('finetune', '-m', $base, '-o', "$dir/default.safetensors", @query, '--epochs=0.1');
is($code, 0, 'all defaults') or diag($err);
like($err, qr/Plan: the embeddings and the first 1 layer are frozen \(\d+ training rows, 2 layers\)/, 'the plan says what is frozen');
like($err, qr/Linear probe on the frozen vectors: macro AP/, 'and what the head alone reaches');

$node->stop;
done_testing();
