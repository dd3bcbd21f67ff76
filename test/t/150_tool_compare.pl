# evaluate's intervals and predictions, and compare: a real effect is found, chance is not, and too little is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Compare;
use File::Copy;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TinyCheckpoint;
use Tool;

my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('tool_compare');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));

# Words that mean a tag, words that mean nothing, and tags that are sometimes wrong.
my %meaning = (
	ghost => 'horror', scream => 'horror',  grave => 'horror',  kiss => 'romance', wedding => 'romance', heart => 'romance',
	robot => 'sci-fi', planet => 'sci-fi', laser => 'sci-fi',  duel => 'western', saloon  => 'western', sheriff => 'western');
my @plain = qw(the a of in house door morning walks sees old young city night talks river);
TinyCheckpoint::write_checkpoint("$dir/tiny", words => [ sort(keys %meaning), @plain ]);
my $base = "$dir/tiny.safetensors";
my ($code, $out, $err) = tool('import', "$dir/tiny", '-o', $base);
is($code, 0, 'import') or diag($err);

my $random = TinyCheckpoint::generator(11);
sub pick { my $n = @_; return $_[ int(abs($random->() * 1000)) % $n ]; }
my @rows;
for my $i (1 .. 1000)
{
	my %tags;
	my @words = map { pick(@plain) } 1 .. 5 + $i % 7;
	for (1 .. 2)
	{
		my $word = pick(sort keys %meaning);
		push @words, $word;
		$tags{ $meaning{$word} } = 1 if $random->() < 0.6;
	}
	push @rows, join("\t", $i, 'film ' . int($i / 2), join(' ', @words), '{' . join(',', map { qq{"$_"} } sort keys %tags) . '}');
}
TinyCheckpoint::spew("$dir/rows.tsv", join("\n", @rows) . "\n");
$node->safe_psql('postgres', 'CREATE TABLE movies (id int, film text, plot text, tags text[])');
$node->safe_psql('postgres', "\\copy movies FROM '$dir/rows.tsv'");

# Two ways to train, six seeds each: few rows, and many.
my $test = 'SELECT plot, tags, film FROM movies WHERE id > 700';
for my $way ([ 'few', 120 ], [ 'many', 700 ])
{
	my ($name, $n) = @$way;
	mkdir "$dir/$name";
	for my $seed (1 .. 6)
	{
		($code, $out, $err) = tool(
			'finetune', '--model', $base, '-o', "$dir/$name/$seed.safetensors", @where, '--freeze=all', "--seed=$seed", '--key=film',
			'--validation=0.3', '--min-support=2', '--quiet', '-q', "SELECT plot, tags, film FROM movies WHERE id <= $n");
		is($code, 0, "finetune on $name rows, seed $seed") or diag($err);
		($code, $out, $err) = tool(
			'evaluate', '--model', "$dir/$name/$seed.safetensors", @where, '--key=film', '-o', "$dir/$name/$seed.pred", '--draws=0',
			'--quiet', '-q', $test);
		is($code, 0, "evaluate, seed $seed") or diag($err);
		unlike($out, qr/Intervals/, 'without draws there are no intervals');
	}
}
my $model = "$dir/many/1.safetensors";

# Intervals: there, sensible, the same for any number of threads and any order of rows, and not for another seed.
sub evaluated
{
	($code, $out, $err) = tool('evaluate', '--model', $model, @where, '--key=film', '--json', '--quiet', '-q', @_);
	is($code, 0, "evaluate @_[1 .. $#_]") or diag($err);
	return decode_json($out);
}
my $one = evaluated($test, '--threads=1');
my $figures = $one->{intervals}{figures};
is_deeply(
	[ sort keys %$figures ],
	[   sort qw(micro_f1 macro_f1 samples_f1 macro_ap micro_ap ece brier precision_at_3 recall_at_3 ndcg_at_3 precision_at_5
		  recall_at_5 ndcg_at_5) ],
	'every headline metric has an interval');
is($one->{intervals}{clusters}, 151, 'films are what is drawn');
for my $name (sort keys %$figures)
{
	my $f = $figures->{$name};
	# All of a row's tags are among the best 3 of 4: recall is 1 whatever is drawn.  ECE is biased upwards in draws.
	my ($least, $most) = $name =~ /recall/ ? ('==', '==') : ('<', '>');
	cmp_ok($f->{low},  $least, $f->{estimate}, "$name: the interval begins below") unless $name eq 'ece';
	cmp_ok($f->{high}, $most,  $f->{estimate}, "$name: and ends above") unless $name eq 'ece';
	my $metrics = $one->{metrics};
	my $same = $metrics->{$name} // $metrics->{at_calibrated_thresholds}{$name};
	cmp_ok(abs($f->{estimate} - $same), '<', 0.0001, "$name: it is the metric's");
}
is_deeply(evaluated($test, '--threads=3'), $one, 'three threads say the same');
is_deeply(evaluated("$test ORDER BY md5(id::text)")->{intervals}, $one->{intervals}, 'rows in another order too');
isnt(evaluated($test, '--seed=2')->{intervals}{figures}{macro_ap}{low}, $figures->{macro_ap}{low}, 'another seed draws otherwise');
cmp_ok(evaluated($test, '--k=1')->{metrics}{ndcg_at_1}, '>', 0.5, '--k');
($code, $out, $err) = tool('evaluate', '--model', $model, @where, '-q', $test, '--draws=100');
is($code, 0, 'evaluate without --key, as tables');
like($out, qr/Brier 0\.\d+\n.*tags learned 4 of 4.*best k .*nDCG.*Intervals: bootstrap, 100 draws of \d+ different texts.*macro AP +0\.\d+ +0\.\d+ to 0\.\d+/s,
	'and tables have all of it');
for my $k ('0', '3,', 'x', '1,2,3,4,5,6,7,8,9', '-1')
{
	($code, $out, $err) = tool('evaluate', '--model', $model, @where, '-q', $test, "--k=$k");
	is($code, 2, "--k=$k is refused");
	like($err, qr/invalid value "\Q$k\E" for option "--k"/, 'with a message');
}
($code, $out, $err) = tool('evaluate', '--model', $model, @where, '-q', $test, '-o', "$dir/absent/x.pred");
is($code, 1, 'predictions that could not be written are found out at once');
like($err, qr/could not write into folder/, 'with a message');

# The same predictions are the same bytes.
($code) = tool('evaluate', '--model', $model, @where, '--key=film', '-o', "$dir/again.pred", '--draws=0', '--quiet', '-q', "$test ORDER BY md5(id::text)");
($code) = tool('evaluate', '--model', $model, @where, '--key=film', '-o', "$dir/again2.pred", '--draws=0', '--quiet', '-q', "$test ORDER BY md5(id::text)");
is(compare("$dir/again.pred", "$dir/again2.pred"), 0, 'evaluate writes the same bytes again');

# A difference that is there.
($code, $out, $err) = tool('compare', "$dir/few", "$dir/many", '--draws=1000', '--quiet');
is($code, 0, 'compare') or diag($err);
like($out, qr/^  1 +\S+few\/1\.pred +\S+many\/1\.pred$/m, 'it pairs by seed');
like($out, qr/300 rows, 151 keys, 4 tags, 6 paired seeds/, 'it tells what is compared');
like($out, qr/cannot be below 2\/2\^6 = 0\.031;.*not below 0\.094/s, 'and what p can be');
my @sentences = $out =~ /^(B is .*|No difference .*)$/mg;
is(scalar @sentences, 1, 'one sentence');
like($sentences[0], qr/^B is better than A by \d+\.\d points of macro AP \(95 % interval \d+\.\d to \d+\.\d, p = 0\.031, 6 seeds\)\.$/, 'B is better');
like($out, qr/^  horror +\d+ +0\.\d+ +0\.\d+ +[-+]\d/m, 'by tag');
is(scalar(() = $out =~ /^  \d+ to \d+ +\d+ +0\.\d+ 0\.\d+/mg), 4, 'by quartile of length');
my $text = $out;
($code, $out) = tool('compare', "$dir/few", "$dir/many", '--draws=1000', '--threads=1', '--quiet');
is($out, $text, 'one thread says the same');
($code, $out) = tool('compare', "$dir/many", "$dir/few", '--draws=1000', '--quiet', '--json', '--metric=ndcg_at_3');
my $json = decode_json($out);
is($json->{verdict}{b_is}, 'worse', 'the other way round it is worse');
is($json->{verdict}{metric}, 'ndcg_at_3', 'by the metric asked for');
is($json->{paired_by}, 'seed', 'JSON tells how files were paired');
is(scalar @{ $json->{metrics}{macro_ap}{deltas} }, 6, 'and has a difference for each seed');
is($json->{metrics}{macro_ap}{p_holm}, 0.09375, "Holm's p");
is(scalar @{ $json->{per_tag} }, 4, 'and the tags');

# By lists of files; a metric of another name.
($code, $out) = tool('compare', '--a', (map { "$dir/few/$_.pred" } 1 .. 6), '--b', (map { "$dir/many/$_.pred" } 6, 5, 4, 3, 2, 1), '--draws=1000', '--quiet');
is($out, $text, 'lists of files in any order say the same');
($code, $out, $err) = tool('compare', "$dir/few", "$dir/many", '--metric=macro_app');
is($code, 2, 'an unknown metric');
like($err, qr/invalid value "macro_app".*Perhaps you meant "--metric=macro_ap"/s, 'with a message');
($code, $out, $err) = tool('compare', "$dir/few");
is($code, 2, 'one side only');
like($err, qr/needs the predictions of A and of B/, 'with a message');

# No difference: the same files on both sides.
($code, $out) = tool('compare', "$dir/few", "$dir/few", '--draws=200', '--quiet');
is($code, 0, 'a comparison without a difference is no failure');
like($out, qr/^No difference between A and B is shown: B - A is \+0\.0 points of macro AP \(95 % interval 0\.0 to 0\.0, p = 1, 6 seeds\)\.$/m, 'and says so');

# Too few seeds.
mkdir "$dir/$_" for qw(few5 many5 empty other);
copy("$dir/few/$_.pred", "$dir/few5") && copy("$dir/many/$_.pred", "$dir/many5") or die for 1 .. 5;
($code, $out, $err) = tool('compare', "$dir/few5", "$dir/many5");
is($code, 1, 'five seeds: exit code 1');
like($err, qr/^moviebert: error: 5 paired seeds are too few for a verdict\nDETAIL:  .*0\.0625 with 5, 0\.03125 with 6\.\nHINT:  .*--anyway/m, 'five seeds: message');
is($out, '', 'five seeds: nothing is printed');
($code, $out, $err) = tool('compare', "$dir/few5", "$dir/many5", '--anyway', '--draws=200', '--quiet');
is($code, 0, 'five seeds --anyway');
like($err, qr/warning: 5 paired seeds: no verdict/, 'with a warning');
like($out, qr/macro AP +0\.\d+ +0\.\d+ +\+\d/, 'the differences are printed');
unlike($out, qr/^B is|^No difference/m, 'without a verdict');
($code, $out) = tool('compare', "$dir/few5/1.pred", "$dir/many5/1.pred", '--anyway', '--draws=200', '--quiet', '--json');
is(decode_json($out)->{verdict}, undef, 'one seed --anyway has no verdict either');

# What cannot be compared.
for my $case (
	[ "$dir/few5", "$dir/many", qr/A has 5 files of predictions and B has 6\nDETAIL:  Seeds of A alone: none\.  Seeds of B alone: 6\./, 'different numbers of seeds' ],
	[ "$dir/few", "$dir/empty", qr/folder ".*empty" has no predictions\nDETAIL:  .*\.pred.*HINT:  .*evaluate/s, 'an empty folder' ],
	[ "$dir/few", "$dir/nowhere", qr/could not open ".*nowhere"\nDETAIL:  .*No such file/, 'no folder' ],
	[ "$dir/few/1.pred", $model, qr/is not a file of predictions\nDETAIL:  Its metadata has no/, 'a model file' ],
	[ "$dir/few/1.pred", "$dir/rows.tsv", qr/error: \S.*safetensors/, 'something else' ],)
{
	my ($a, $b, $message, $name) = @$case;
	($code, $out, $err) = tool('compare', $a, $b, '--anyway');
	is($code, 1, "$name: exit code 1");
	like($err, $message, "$name: message");
}
copy("$dir/few/1.pred", "$dir/other/1.pred") && copy("$dir/few/1.pred", "$dir/other/2.pred") or die;
($code, $out, $err) = tool('compare', "$dir/other", "$dir/other", '--anyway');
like($err, qr/have the same scores\nHINT:  One run counts once/, 'one run in two files');
my %changed = (
	rows => [ "SELECT plot, tags, film FROM movies WHERE id > 701",              qr/not about the same rows\nDETAIL:  Of 300 rows of the first, the second lacks 1; of 299 rows of the second, the first lacks 0\./ ],
	labels => [ "SELECT plot, CASE WHEN id = 800 THEN '{}' ELSE tags END AS tags, film FROM movies WHERE id > 700", qr/true tags of .* are not the same\nDETAIL:  [1-4] of 1200 pairs of row and tag differ \(0 in whether/ ],
	key => [ "SELECT plot, tags, id::text AS film FROM movies WHERE id > 700",   qr/not about the same rows.*HINT:  The texts are the same: evaluate both with the same --key/s ]);
$node->safe_psql('postgres', q{UPDATE movies SET tags = '{horror}' WHERE id = 800});
tool('evaluate', '--model', "$dir/few/1.safetensors", @where, '--key=film', '-o', "$dir/few.pred", '--draws=0', '--quiet', '-q', $test);
for my $what (sort keys %changed)
{
	my ($query, $message) = @{ $changed{$what} };
	($code, $out, $err) = tool('evaluate', '--model', $model, @where, '--key=film', '-o', "$dir/$what.pred", '--draws=0', '--quiet', '-q', $query);
	is($code, 0, "evaluate with other $what") or diag($err);
	($code, $out, $err) = tool('compare', "$dir/few.pred", "$dir/$what.pred", '--anyway');
	is($code, 1, "other $what: exit code 1");
	like($err, $message, "other $what: message");
}
# Of a tag outside its row's scope that the row does not have nothing is known: it counts for nothing, and is not the same as one that is absent.
my $scoped = q{SELECT plot, tags, film, CASE WHEN id % 2 = 0 THEN '{horror,western}'::text[] END AS scope FROM movies WHERE id > 700};
my $unknown = $node->safe_psql('postgres', q{
	SELECT count(*) FROM movies, unnest('{romance,sci-fi}'::text[]) t WHERE id > 700 AND id % 2 = 0 AND t <> ALL (tags)});
my $of_scope = evaluated($scoped, '--scope=scope', '-o', "$dir/scope.pred");
is($of_scope->{metrics}{unknown_pairs}, $unknown, 'pairs outside the scope are unknown');
cmp_ok(abs($of_scope->{intervals}{figures}{macro_f1}{estimate} - $of_scope->{metrics}{at_calibrated_thresholds}{macro_f1}), '<', 0.0001, 'intervals leave them out too');
($code, $out, $err) = tool('compare', "$dir/few.pred", "$dir/scope.pred", '--anyway');
like($err, qr/pairs of row and tag differ \($unknown in whether they are known\)/, 'and compare tells them from absent ones');
($code, $out, $err) = tool('compare', "$dir/scope.pred", "$dir/scope.pred", '--anyway', '--draws=200', '--quiet');
is($code, 0, 'predictions with unknown pairs are compared') or diag($err);
tool('finetune', '--model', $base, '-o', "$dir/no-western", @where, '--freeze=all', '--min-support=2', '--quiet', '-q',
	q{SELECT plot, array_remove(tags, 'western') AS tags FROM movies WHERE id <= 400});
($code, $out, $err) = tool('evaluate', '--model', "$dir/no-western", @where, '--key=film', '-o', "$dir/tags.pred", '--draws=0', '--quiet', '-q', $test);
($code, $out, $err) = tool('compare', "$dir/few.pred", "$dir/tags.pred", '--anyway');
like($err, qr/do not have the same tags\nDETAIL:  Only the first has western\./, 'other tags: message');

$node->stop;
done_testing();
