# pretrain on texts that can be learned: both objectives, the folder, the same bits after kill -9, Ctrl-C, what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Copy qw(copy);
use File::Path qw(remove_tree);
use IPC::Run;
use JSON::PP;
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('tool_pretrain');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

# Sentences of four words, of which each decides the next: who does what where, and how.  A text keeps to few of them.
my @chains = map { [ split ' ' ] } (
	'ghost haunts castle silently', 'robot repairs planet slowly', 'sheriff chases bandit bravely', 'lovers kiss garden softly',
	'detective questions witness sternly', 'pirate buries treasure greedily', 'wizard brews potion secretly',
	'teacher praises pupil kindly', 'soldier guards bridge sleepily', 'chef tastes soup eagerly');
my @vocab = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '.', map { @$_ } @chains);
TinyCheckpoint::spew("$dir/vocab.txt", join("\n", @vocab) . "\n");
my $state = 7;
sub pick { $state = ($state * 1103515245 + 12345) & 0x7fffffff; return int($state / 0x7fffffff * shift) }
my @texts;
for my $i (1 .. 400)
{
	my @own = map { $chains[ pick(scalar @chains) ] } 1 .. 2;
	push @texts, join ' ', map { (@{ $own[ pick(2) ] }, '.') } 1 .. 4 + pick(6);
}
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert; CREATE TABLE movies (id serial, plot text, film text)');
TinyCheckpoint::spew("$dir/rows.tsv", join('', map { "$_\n" } @texts));
$node->safe_psql('postgres', "\\copy movies(plot) FROM '$dir/rows.tsv'");
$node->safe_psql('postgres', q{INSERT INTO movies (plot) VALUES (NULL), ('  ')});

my $select = 'SELECT plot FROM movies ORDER BY id';
my @rows   = ('-q', $select, '--validation=0.1', @where);
my @tiny   = ('--vocab', "$dir/vocab.txt", '--config=2,32,2', '--length=32', '--batch-tokens=512', '--shards=2');
my @run    = (@rows, @tiny, '--steps=1000', '--rate=5e-3');

sub tensor
{
	my ($header, $data) = ModelFile::header(slurp($_[0]));
	my ($start, $end) = @{ $header->{ $_[1] }{data_offsets} };
	return substr $data, $start, $end - $start;
}
sub sha256 { my ($sum) = split ' ', `sha256sum $_[0]`; return $sum }
sub slurp { open my $in, '<:raw', $_[0] or return ''; local $/; return <$in> // '' }
sub lines { return map { decode_json($_) } split /\n/, slurp("$_[0]/metrics.jsonl") }
sub events { return map { $_->{name} } grep { $_->{type} eq 'event' } lines($_[0]) }

# ---- from scratch -----------------------------------------------------------------------------------------------------

my $whole = "$dir/whole.safetensors";
my ($code, $out, $err) = tool('pretrain', @run, '-o', $whole, '--threads=2');
is($code, 0, 'pretrain') or diag($err);
like((tool('info', '--card', $whole))[1], qr/^(?!.*"about").*"objective"/s, 'its card, with nothing --about it');
like($err, qr/402 read/, 'it tells how many rows it read');
like($err, qr/1  left out: the text is NULL/, 'and how many had no text');
like($err, qr/Plan: masked language modelling, from scratch/, 'the plan');
like($err, qr/2 layers of 32, 2 heads, intermediate 128, 32 positions, vocabulary 46: [\d,]+ parameters/, 'the network');
like($err, qr/1,000 steps, 512,000 tokens, \d+\.\d\d epochs/, 'the length');
like($err, qr/1,000 steps may not be enough/, 'the warning of a short run');
like($out, qr/Wrote "\Q$whole\E" \(sha256 [0-9a-f]{16}/, 'the end');
my $folder = "$whole.run";
ok(-e "$folder/$_", "$_ is in the folder") for qw(manifest.json metrics.jsonl tokens.store checkpoint log.txt report.html);
like(slurp("$folder/log.txt"), qr/Plan: masked/, 'the log has what was said');

my $manifest = decode_json(slurp("$folder/manifest.json"));
is($manifest->{query}, $select, 'the manifest has the query');
like($manifest->{rows_sha256}, qr/^[0-9a-f]{64}$/, 'the hash of its rows');
is($manifest->{rows}{null_text}, 1, 'the account of rows');
like($manifest->{command}, qr/^moviebert pretrain .*'SELECT plot FROM movies ORDER BY id'/, 'the command line');
ok($manifest->{blas_core} && $manifest->{versions}{server} && $manifest->{cpu}, 'versions and the machine');

my @lines = lines($folder);
my @steps = grep { $_->{type} eq 'step' } @lines;
my @validations = grep { $_->{type} eq 'validation' } @lines;
cmp_ok(abs($validations[0]{loss} - $manifest->{unigram_entropy}), '<', 0.3, 'training begins at the loss of token frequencies');
cmp_ok($validations[-1]{loss}, '<', 0.5 * $manifest->{unigram_entropy}, 'and ends far below it')
  or diag("$validations[-1]{loss} of $manifest->{unigram_entropy}");
cmp_ok($validations[-1]{accuracy}, '>', 0.6, 'with most words found');
cmp_ok($validations[-1]{bits_per_character}, '>', 0, 'bits per character');
is($steps[-1]{step}, 1000, 'the last step is there');
is($steps[-1]{tokens}, 1000 * 512, 'all tokens are counted');
is_deeply([ sort { $a <=> $b } map { $_->{step} } @steps ], [ map { $_->{step} } @steps ], 'steps are in order');
cmp_ok($steps[0]{rate}, '<', 1e-3, 'the rate begins low');
cmp_ok($steps[-1]{rate}, '<', 1e-4, 'and ends low');
is($lines[-1]{type}, 'final', 'the last line is final');
is($lines[-1]{sha256}, sha256($whole), 'and has the hash of the model file');

($code, $out) = tool('info', '--json', $whole);
is($code, 0, 'info opens it');
my $info = decode_json($out);
is($info->{kind}, 'masked-lm', 'the model has a masked-LM head');
is($info->{pooling}{mode}, 'mean', 'pools by the mean');
is($info->{pooling}{max_length}, 32, 'and takes what it was trained on');
is($info->{card}{data}{query}, $select, 'the card has the query');
cmp_ok($info->{card}{metrics}{validation}{loss}, '<', 1.5, 'and the metrics');
unlike($out, qr/seconds/, 'and nothing of the clock');
($code, $out, $err) = tool('install', $whole, '--name=own', @where);
is($code, 0, 'install') or diag($err);
is($node->safe_psql('postgres', q{SELECT array_length(bert_embed('ghost haunts castle', 'own'), 1)}), '32', 'bert_embed');

# ---- the same bits -----------------------------------------------------------------------------------------------------

($code) = tool('pretrain', @run, '-o', "$dir/one.safetensors", '--threads=1');
is(sha256("$dir/one.safetensors"), sha256($whole), 'one thread makes the same file');

# Starts a run and sends it a signal once it has saved after some steps; returns its exit code and stderr.
sub cut_off
{
	my ($signal, $output, @args) = @_;
	my ($o, $e) = ('', '');
	my $child = IPC::Run::start([ $tool, 'pretrain', @args, '-o', $output ], '<', \undef, '>', \$o, '2>', \$e);
	my $until = time + 60;
	until ((grep { $_->{type} eq 'event' && $_->{name} eq 'saved' && $_->{step} > 20 } eval { lines("$output.run") }) || time > $until)
	{
		sleep 0.01;
		$child->pump_nb;
	}
	$child->signal($signal);
	eval { $child->finish };
	return ($? & 127, $? >> 8, $e);
}

for my $threads (1, 2)
{
	my $cut = "$dir/cut$threads.safetensors";
	my ($killed) = cut_off('KILL', $cut, @run, "--threads=$threads", '--checkpoint-every=0.1');
	is($killed, 9, "$threads threads: killed in the middle");
	ok(!-e $cut, "$threads threads: no model file yet");
	# A line that was cut off while it was written.
	open my $metrics, '>>', "$cut.run/metrics.jsonl" or die $!;
	print $metrics '{"type":"step","st';
	close $metrics;
	($code, $out, $err) = tool('pretrain', @run, '-o', $cut, '--resume', '--threads=' . (3 - $threads));
	is($code, 0, "$threads threads: resumed") or diag($err);
	like($err, qr/Going on after step \d+/, "$threads threads: it says from where");
	is(sha256($cut), sha256($whole), "$threads threads: the same file as the uninterrupted run's");
	my @after = eval { lines("$cut.run") };
	is($@, '', "$threads threads: every line of the metrics is whole");
	my @numbers = map { $_->{step} } grep { $_->{type} eq 'step' } @after;
	is_deeply(\@numbers, [ sort { $a <=> $b } @numbers ], "$threads threads: and no step is there twice");
	is((grep { $_ eq 'resumed' } events("$cut.run")), 1, "$threads threads: the event is there");
}

my $interrupted = "$dir/interrupted.safetensors";
(undef, $code, $err) = cut_off('INT', $interrupted, @run, '--checkpoint-every=0.1');
is($code, 130, 'Ctrl-C: exit code 130');
like($err, qr/Saved after step \d+ in "\Q$interrupted.run\E"\.\nTo go on: (moviebert pretrain .* --resume)\n/, 'it says how to go on');
my ($command) = $err =~ /To go on: moviebert (.*)/;
is(system("$tool $command >/dev/null 2>&1"), 0, 'that command goes on');
is(sha256($interrupted), sha256($whole), 'to the same file');
is((grep { $_ eq 'interrupted' } events("$interrupted.run")), 1, 'with its event');
is(system("$tool $command >/dev/null 2>&1"), 0, 'a run that is complete can be resumed, too');
is(sha256($interrupted), sha256($whole), 'and stays the same');

# ---- on from a model ---------------------------------------------------------------------------------------------------

my $spans = "$dir/spans.safetensors";
my @spans = (@rows, '--about', 'Made for a test.', '--from', $whole, '--objective=spans', '--length=32', '--span-min=4', '--batch-texts=32', '--rate=1e-3', '--steps=150', '--shards=2');
($code, $out, $err) = tool('pretrain', @spans, '-o', $spans, '--threads=2');
is($code, 0, 'spans') or diag($err);
@validations = grep { $_->{type} eq 'validation' } lines("$spans.run");
cmp_ok($validations[-1]{recall_at_1}, '>', $validations[0]{recall_at_1}, 'spans of a text find each other better than before');
cmp_ok($validations[-1]{loss}, '<', 0.85 * $validations[0]{loss}, 'with less loss');
($code, $out) = tool('info', '--json', $spans);
$info = decode_json($out);
is($info->{kind}, 'masked-lm', 'the masked-LM head is still there');
ok($info->{pooling}{normalize}, 'vectors are normalised');
is($info->{card}{base}{sha256}, sha256($whole), 'the card has the base');
is($info->{card}{base}{card}{data}{query}, $select, 'and the rows that it was made of');
is($info->{card}{about}, 'Made for a test.', 'and what --about said');
my $head = 'cls.predictions.transform.dense.weight';
ok(tensor($spans, $head) eq tensor($whole, $head), 'and is what it was');
ok(tensor($spans, 'encoder.layer.0.output.dense.weight') ne tensor($whole, 'encoder.layer.0.output.dense.weight'), 'unlike the encoder');
($code) = tool('pretrain', @spans, '-o', "$dir/spans1.safetensors", '--threads=1');
is(sha256("$dir/spans1.safetensors"), sha256($spans), 'spans: one thread makes the same file');
cut_off('KILL', "$dir/spans2.safetensors", @spans, '--checkpoint-every=0.1');
($code) = tool('pretrain', @spans, '-o', "$dir/spans2.safetensors", '--resume');
is(sha256("$dir/spans2.safetensors"), sha256($spans), 'spans: and so does a run that was killed');

# However a step's work is divided, it is the same step: after some of them, the weights differ by rounding alone.
sub largest_difference
{
	my @values = map { [ unpack 'f<*', tensor($_, 'embeddings.word_embeddings.weight') ] } @_;
	my $largest = 0;
	for my $i (0 .. $#{ $values[0] })
	{
		my $difference = abs($values[0][$i] - $values[1][$i]);
		$largest = $difference if $difference > $largest;
	}
	return $largest;
}
for my $case (
	[ 'masked words', [ @rows, @tiny, '--steps=20', '--rate=1e-3' ], [ '--pass-tokens=32', '--shards=3' ] ],
	[ 'spans', [ @spans, '--steps=20' ], [ '--pass-tokens=40', '--shards=3' ] ])
{
	my ($name, $args, $other) = @$case;
	tool('pretrain', @$args, '-o', "$dir/step1.safetensors", '--restart');
	tool('pretrain', @$args, @$other, '-o', "$dir/step2.safetensors", '--restart');
	my $difference = largest_difference("$dir/step1.safetensors", "$dir/step2.safetensors");
	cmp_ok($difference, '<', 1e-4, "$name: passes and shards of other sizes make the same weights");
	cmp_ok($difference, '>', 0, "$name: but for rounding");

	my $made = sha256("$dir/step2.safetensors");
	($code, $out, $err) = tool('pretrain', (grep { !/^--shards/ } @$args, @$other), '-o', "$dir/step2.safetensors", '--resume');
	is($code, 0, "$name: a run that is resumed keeps its shards where none are told") or diag($err);
	is(sha256("$dir/step2.safetensors"), $made, "$name: and makes the same file");
}

TinyCheckpoint::write_checkpoint("$dir/bare", words => [ map { @$_ } @chains ]);
($code) = tool('import', "$dir/bare", '-o', "$dir/bare.safetensors");
($code, $out, $err) = tool('pretrain', @rows, '--from', "$dir/bare.safetensors", '-o', "$dir/further.safetensors", '--length=32', '--batch-tokens=512', '--steps=40', '--rate=1e-3', '--precision=fp16');
is($code, 0, 'on from an imported encoder') or diag($err);
like($err, qr/has no masked-LM head: a fresh one/, 'it says that the head is fresh');
@validations = grep { $_->{type} eq 'validation' } lines("$dir/further.safetensors.run");
cmp_ok($validations[-1]{loss}, '<', $validations[0]{loss}, 'it learns');
cmp_ok(-s "$dir/further.safetensors", '<', 0.62 * (-s "$dir/further.safetensors.run/checkpoint") / 3 + 20000, 'in half precision');
($code, $out) = tool('pretrain', @rows, @tiny, '--budget=2s', '-o', "$dir/budget.safetensors", '--whole-words', '--dropout=0.1', '--accumulate=2');
is($code, 0, 'by a budget of time');
my ($final) = grep { $_->{type} eq 'final' } lines("$dir/budget.safetensors.run");
cmp_ok($final->{seconds}, '<', 4, 'which is kept');

# ---- when it diverges --------------------------------------------------------------------------------------------------

($code, $out, $err) = tool('pretrain', @rows, @tiny, '--steps=400', '--rate=1e5', '--warmup=0', '--clip=0', '-o', "$dir/wild.safetensors");
is($code, 1, 'an absurd rate: exit code 1');
like($err, qr/going back from step \d+ to step 0, at 0\.5 of the rate/, 'it goes back with half the rate');
like($err, qr/error: training diverges, even at 1\/8 of the rate\n.*HINT:  Begin anew with a lower --rate \(this run had 100000\)/s, 'and gives up in the end');
my @wild = events("$dir/wild.safetensors.run");
is((grep { $_ eq 'rolled_back' } @wild), 3, 'three times back');
cmp_ok((grep { /^(diverging|not_finite)$/ } @wild), '>=', 4, 'each with its reason');

# ---- refusals ----------------------------------------------------------------------------------------------------------

my $none = "$dir/none.safetensors";
for my $case (
	[ 1, [ @run, '-o', $whole ], qr/folder ".*" holds a run\nHINT:  Add --resume/, 'a folder that holds a run' ],
	[ 1, [ @run, '-o', $none, '--resume' ], qr/holds no run to resume/, 'resume without a run' ],
	[ 1, [ '-q', 'SELECT film FROM movies', @where, @tiny, '--steps=1000', '--rate=5e-3', '--validation=0.1', '-o', $whole, '--resume' ],
		qr/is of another query\nDETAIL:  It is of: SELECT plot/, 'resume with another query' ],
	[ 1, [ @run, '--seed=2', '-o', $whole, '--resume' ], qr/is of other options\nDETAIL:  It is: .*seed 1.*seed 2/, 'resume with another seed' ],
	[ 1, [ @run, '--config=1,32,2', '-o', $whole, '--resume' ], qr/is of other options/, 'resume with another network' ],
	[ 1, [ @run, '--config=2,32,4', '-o', $whole, '--resume' ], qr/is of other options\nDETAIL:  Its num_attention_heads is 2, not 4\./, 'resume with other heads, which are as many parameters' ],
	[ 1, [ @run, '--cased', '-o', $whole, '--resume' ], qr/is of other options\nDETAIL:  Its do_lower_case is true, not false\./, 'resume with another tokenizer' ],
	[ 1, [ @run, '--rate=1e-3', '-o', $whole, '--resume' ], qr/is of other options\nDETAIL:  Its rate is 0\.005, not 0\.001\./, 'resume at another rate' ],
	[ 1, [ @run, '--warmup=0.5', '-o', $whole, '--resume' ], qr/is of other options\nDETAIL:  Its warmup is/, 'resume with another warm-up' ],
	[ 1, [ @run, '--shards=3', '-o', $whole, '--resume' ], qr/is of other options/, 'resume with other shards' ],
	[ 1, [ @run, '--config=2,32,3', '-o', $none ], qr/hidden size 32 is not a multiple of 3 heads\nHINT/, 'heads that do not divide' ],
	[ 1, [ @run, '--config=2;32', '-o', $none ], qr/invalid --config "2;32"/, 'sizes that are none' ],
	[ 1, [ @run, '--vocab', "$dir/absent.txt", '-o', $none ], qr/could not open ".*absent.txt"/, 'no vocabulary' ],
	[ 1, [ @run, '--vocab', "$dir/rows.tsv", '-o', $none ], qr/HINT:  The vocabulary is/, 'a file that is no vocabulary' ],
	[ 1, [ @run, '-o', "$dir/absent/none" ], qr/could not write into folder/, 'an absent folder' ],
	[ 1, [ @rows, '--from', "$dir/bare.safetensors", '--length=128', '-o', $none ], qr/sequences of 128 tokens do not fit a model of 64 positions\nHINT/, 'sequences that are too long' ],
	[ 1, [ @tiny, @where, '-q', $select, '-o', $none, '--validation=0.0001' ], qr/HINT:  Give --validation a larger share/, 'no validation part' ],
	[ 1, [ @rows, '--from', $whole, '--objective=spans', '--length=32', '--batch-texts=5000', '-o', $none ], qr/too few texts for a step of 5000\nDETAIL/, 'too few texts' ],
	[ 2, [ '-o', $none, @tiny, @where ], qr/pretrain needs a query/, 'no query' ],
	[ 2, [ @rows, '-o', $none ], qr/pretrain needs a model or a vocabulary/, 'no model' ],
	[ 2, [ @run, '-o', $none, '--budget=soon' ], qr/--steps and --budget contradict/, 'steps and a budget' ],
	[ 2, [ @run, '-o', $none, '--epochs=2' ], qr/--epochs and --steps contradict/, 'steps and epochs' ],
	[ 2, [ @rows, @tiny, '-o', $none, '--epochs=1', '--budget=1h' ], qr/--epochs and --budget contradict/, 'epochs and a budget' ],
	[ 2, [ @run, '-o', $none, '--mask=0.01' ], qr/no token of a sequence would be masked\nHINT/, 'a share of tokens that is none' ],
	[ 2, [ @rows, @tiny, '-o', $none, '--budget=soon' ], qr/invalid value "soon" for option "--budget"/, 'a budget that is none' ],
	[ 2, [ @rows, '--from', $whole, '--config=2,32,2', '-o', $none ], qr/already has its sizes/, 'a model and sizes' ],)
{
	my ($expected, $args, $message, $name) = @$case;
	($code, $out, $err) = tool('pretrain', @$args);
	is($code, $expected, "$name: exit code") or diag($err);
	like($err, $message, "$name: message");
	ok(!-e $none, "$name: nothing is written");
	remove_tree("$none.run");
}

# A checkpoint that is damaged is recognised; of a run that is at work, nobody else may be a part.
my $damaged = "$dir/damaged.safetensors";
mkdir "$damaged.run";
copy("$folder/$_", "$damaged.run/$_") for qw(manifest.json metrics.jsonl tokens.store checkpoint);
open my $file, '+<', "$damaged.run/checkpoint" or die $!;
seek $file, -100, 2;
print $file 'X';
close $file;
($code, $out, $err) = tool('pretrain', @run, '-o', $damaged, '--resume');
is($code, 1, 'a damaged checkpoint: exit code 1');
like($err, qr/checkpoint ".*" is damaged\nDETAIL:  Its numbers have SHA-256/, 'a damaged checkpoint: message');
my $busy  = "$dir/busy.safetensors";
my $other = IPC::Run::start([ $tool, 'pretrain', @run, '-o', $busy, '--steps=100000' ], '<', \undef, '>', \my $o, '2>', \my $e);
for (1 .. 500) { last if -e "$busy.run/checkpoint"; sleep 0.02; $other->pump_nb }
($code, $out, $err) = tool('pretrain', @run, '-o', $busy, '--restart');
$other->signal('KILL');
eval { $other->finish };
is($code, 1, 'a folder in use: exit code 1');
like($err, qr/another process is training in folder/, 'a folder in use: message');

$node->stop;
done_testing();
