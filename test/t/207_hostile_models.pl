# Model files that are cut, oversized, inconsistent or meant to do harm: each is refused with the SQLSTATE of its kind, and
# leaves no row, whether it comes as bytes or as a file; the server lives on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $CORRUPT     = '22P03';
my $UNSUPPORTED = '0A000';
my $LIMIT       = '54000';

my @option = (tags => undef, layers => 1);
my $good = ModelFile::bytes(@option);
my ($header, $data) = ModelFile::header($good);
my $header_size = unpack 'Q<', $good;
my $json_text = substr($good, 8, $header_size) =~ s/ +$//r;

# From the parts of a good file, changed by code.
sub changed { my $code = shift; my $parts = ModelFile::parts(@option); $code->($parts); return ModelFile::assemble($parts) }

# With the header's JSON text changed by code, the data as it is.
sub text { my $code = shift; my $json = $json_text; local $_ = $json; $code->(); return ModelFile::with_header($_, $data) }

# With a member of a tensor's entry changed.
sub entry
{
	my ($name, $key, $value) = @_;
	my ($copy) = ModelFile::header($good);
	if (defined $value) { $copy->{$name}{$key} = $value }
	else                { delete $copy->{$name}{$key} }
	return ModelFile::with_header($ModelFile::JSON->encode($copy), $data);
}

# With a metadata string changed.
sub meta { my ($key, $code) = @_; return changed(sub { my $m = shift->{metadata}; local $_ = $m->{"moviebert.$key"}; $code->(); $m->{"moviebert.$key"} = $_ }) }
sub without { my $key = shift; return changed(sub { delete shift->{metadata}{"moviebert.$key"} }) }

my $word   = 'embeddings.word_embeddings.weight';
my $bias   = 'embeddings.LayerNorm.bias';
my $dense  = 'encoder.layer.0.output.dense.weight';
my @cases = (
	# The container.
	[ 'nothing',                            '',                                                       $CORRUPT ],
	[ 'seven bytes',                        substr($good, 0, 7),                                      $CORRUPT ],
	[ 'a header of no bytes',               pack('Q<', 0),                                            $CORRUPT ],
	[ 'a header larger than the format has', pack('Q<', 100_000_001) . substr($good, 8),              $CORRUPT ],
	[ 'a header of 2^64 - 1 bytes',         pack('Q<', ~0) . substr($good, 8),                        $CORRUPT ],
	[ 'a header of 2^63 bytes',             pack('Q<', 1 << 63) . substr($good, 8),                   $CORRUPT ],
	[ 'a header that ends behind the file', pack('Q<', length $good) . substr($good, 8),              $CORRUPT ],
	[ 'the header cut in the middle',       substr($good, 0, 300),                                    $CORRUPT ],
	[ 'the header alone',                   substr($good, 0, 8 + $header_size),                       $CORRUPT ],
	[ 'the data cut by a byte',             substr($good, 0, -1),                                     $CORRUPT ],
	[ 'half of the data',                   substr($good, 0, length($good) - length($data) / 2),      $CORRUPT ],
	[ 'a byte too many',                    $good . "\0",                                             $CORRUPT ],
	[ 'the file twice',                     $good . $good,                                            $CORRUPT ],
	[ 'a megabyte of zeros',                "\0" x 1048576,                                           $CORRUPT ],
	[ 'a pickle',                           "\x80\x02}q\x00(X\x05\x00\x00\x00modelq\x01" x 100,       $CORRUPT ],
	[ 'a zip archive',                      "PK\x03\x04" . 'x' x 4000,                                $CORRUPT ],
	# The header's JSON.
	[ 'a list for a header',                ModelFile::with_header('[1, 2]', $data),                  $CORRUPT ],
	[ 'an empty header',                    ModelFile::with_header('{}', ''),                         $CORRUPT ],
	[ 'a bracket missing',                  text(sub { s/\}$// }),                                    $CORRUPT ],
	[ 'rubbish behind the JSON',            text(sub { $_ .= '{}' }),                                 $CORRUPT ],
	[ 'a NUL in the JSON',                  text(sub { s/dtype/dt\0pe/ }),                            $CORRUPT ],
	[ 'bytes that are not UTF-8',           text(sub { s/dtype/d\xff\xfepe/ }),                       $CORRUPT ],
	[ '100,000 brackets',                   ModelFile::with_header('{"a":' . '[' x 100_000, $data),   $CORRUPT ],
	[ 'the same tensor twice',              text(sub { s/^\{/{"$bias":{"dtype":"F32","shape":[32],"data_offsets":[0,128]},/ }), $CORRUPT ],
	[ 'a member twice',                     text(sub { s/"dtype":"F32"/"dtype":"F32","dtype":"F32"/ }), $CORRUPT ],
	[ 'a name with a NUL',                  text(sub { s/"$bias"/"a\\u0000b"/ }),                     $CORRUPT ],
	# Tensors.
	[ 'no dtype',                           entry($bias, 'dtype'),                                    $CORRUPT ],
	[ 'no shape',                           entry($bias, 'shape'),                                    $CORRUPT ],
	[ 'no offsets',                         entry($bias, 'data_offsets'),                             $CORRUPT ],
	[ 'a dtype that nobody knows',          entry($bias, 'dtype', 'F7'),                              $UNSUPPORTED ],
	[ 'integers for weights',               entry($bias, 'dtype', 'I32'),                             $UNSUPPORTED ],
	[ 'a dtype of another size',            entry($bias, 'dtype', 'F64'),                             $CORRUPT ],
	[ 'a negative size',                    entry($bias, 'shape', [-32]),                             $CORRUPT ],
	[ 'a size that is a fraction',          entry($bias, 'shape', [32.5]),                            $CORRUPT ],
	[ 'sizes whose product overflows',      entry($bias, 'shape', [ 4294967296, 4294967296 ]),        $CORRUPT ],
	[ 'sizes whose product wraps to right', text(sub { s/("$bias":\{[^{}]*"shape":)\[32\]/$1\[4611686018427387936,4]/ or die }), $CORRUPT ],
	[ 'a shape that is text',               entry($bias, 'shape', '32'),                              $CORRUPT ],
	[ 'nine dimensions',                    entry($bias, 'shape', [ 32, (1) x 8 ]),                   $LIMIT ],
	[ 'offsets in the wrong order',         entry($bias, 'data_offsets', [ 128, 0 ]),                 $CORRUPT ],
	[ 'offsets behind the file',            entry($bias, 'data_offsets', [ 1 << 40, (1 << 40) + 128 ]), $CORRUPT ],
	[ 'a negative offset',                  entry($bias, 'data_offsets', [ -128, 0 ]),                $CORRUPT ],
	[ 'offsets that overlap another\'s',    entry($bias, 'data_offsets', [ 4, 132 ]),                 $CORRUPT ],
	[ 'three offsets',                      entry($bias, 'data_offsets', [ 0, 128, 256 ]),            $CORRUPT ],
	[ 'a missing tensor',                   changed(sub { delete shift->{tensors}{$dense} }),         $CORRUPT ],
	[ 'a missing layer',                    meta('config', sub { s/"num_hidden_layers":1/"num_hidden_layers":2/ }), $CORRUPT ],
	[ 'a tensor too many',                  changed(sub { my $t = shift->{tensors}; $t->{'evil.weight'} = $t->{$bias} }), $CORRUPT ],
	[ 'a transposed matrix',                changed(sub { my $t = shift->{tensors}{$dense}; $t->{shape} = [ reverse @{ $t->{shape} } ] }), $CORRUPT ],
	[ 'a matrix that is too small',         changed(sub { my $t = shift->{tensors}{$word}; $t->{shape}[0]--; substr($t->{data}, -128) = '' }), $CORRUPT ],
	[ 'a weight that is not a number',      changed(sub { substr(shift->{tensors}{$dense}{data}, 400, 4) = pack('V', 0x7fc00000) }), $CORRUPT ],
	[ 'an infinite weight',                 changed(sub { substr(shift->{tensors}{$bias}{data}, 0, 4) = pack('V', 0x7f800000) }), $CORRUPT ],
	[ 'a classifier that nobody announced', changed(sub { my $t = shift->{tensors}; $t->{'classifier.weight'} = { dtype => 'F32', shape => [ 1, 32 ], data => "\0" x 128 } }), $CORRUPT ],
	# What the model says of itself.
	[ 'another program\'s safetensors',     changed(sub { my $p = shift; $p->{metadata} = { format => 'pt' } }), $CORRUPT ],
	[ 'a later format',                     meta('format', sub { $_ = '2' }),                         $UNSUPPORTED ],
	[ 'no config',                          without('config'),                                        $CORRUPT ],
	[ 'no vocabulary',                      without('vocab'),                                         $CORRUPT ],
	[ 'no tokenizer',                       without('tokenizer'),                                     $CORRUPT ],
	[ 'no pooling',                         without('pooling'),                                       $CORRUPT ],
	[ 'a config that is not JSON',          meta('config', sub { $_ = '{"a"' }),                      $CORRUPT ],
	[ 'RoBERTa',                            meta('config', sub { s/"bert"/"roberta"/ }),              $UNSUPPORTED ],
	[ 'an activation that nobody knows',    meta('config', sub { s/"gelu"/"mish"/ }),                 $UNSUPPORTED ],
	[ 'heads that do not divide',           meta('config', sub { s/"num_attention_heads":4/"num_attention_heads":5/ }), $CORRUPT ],
	[ 'no heads',                           meta('config', sub { s/"num_attention_heads":4/"num_attention_heads":0/ }), $CORRUPT ],
	[ 'a hidden size below zero',           meta('config', sub { s/"hidden_size":32/"hidden_size":-32/ }), $CORRUPT ],
	[ 'a hidden size of 2^40',              meta('config', sub { s/"hidden_size":32/"hidden_size":1099511627776/ }), $CORRUPT ],
	[ 'a million layers',                   meta('config', sub { s/"num_hidden_layers":1/"num_hidden_layers":1000000/ }), $CORRUPT ],
	[ 'an epsilon of zero',                 meta('config', sub { s/"layer_norm_eps":[^,]+/"layer_norm_eps":0/ }), $CORRUPT ],
	[ 'a pooling that nobody knows',        meta('pooling', sub { s/"mean"/"max"/ }),                 $UNSUPPORTED ],
	[ 'windows longer than positions',      meta('pooling', sub { s/"max_length":64/"max_length":65/ }), $CORRUPT ],
	[ 'windows of two tokens',              meta('pooling', sub { s/"max_length":64/"max_length":2/ }), $CORRUPT ],
	[ 'windows that do not move',           meta('pooling', sub { s/"window_stride":32/"window_stride":0/ }), $CORRUPT ],
	[ 'an empty vocabulary',                meta('vocab', sub { $_ = '' }),                           $CORRUPT ],
	[ 'a vocabulary with too many tokens',  meta('vocab', sub { $_ .= "more\n" }),                    $CORRUPT ],
	[ 'a token twice',                      meta('vocab', sub { s/ghost/robot/ }),                    $CORRUPT ],
	[ 'no [SEP]',                           meta('vocab', sub { s/\[SEP\]/[XXX]/ }),                  $CORRUPT ],
	[ 'a token of 10,000 bytes',            meta('vocab', sub { s/ghost/'g' x 10_000/e }),            $LIMIT ],
	[ 'a head without tags',                changed(sub { shift->{metadata}{'moviebert.head'} = '{"problem":"multi_label","kind":"tagger"}' }), $CORRUPT ],
	[ 'tags without a head',                changed(sub { shift->{metadata}{'moviebert.tags'} = '[{"name":"x","threshold":null,"support":1}]' }), $CORRUPT ],
	[ 'tags without weights',               changed(sub { my $m = shift->{metadata}; @$m{'moviebert.head', 'moviebert.tags'} = ('{"problem":"multi_label","kind":"tagger"}', '[{"name":"x","threshold":null,"support":1}]') }), $CORRUPT ],
	[ 'a card that is a list',              meta('card', sub { $_ = '[1]' }),                         $CORRUPT ],
	[ 'a card with a NUL',                  meta('card', sub { $_ = '{"a":"\u0000"}' }),              qr/^22P0[35]$/ ],
	[ 'a card with a number without end',   meta('card', sub { $_ = '{"a":1e999999}' }),              qr/^22(P03|003)$/ ],
	[ 'a card of 100,000 brackets',         meta('card', sub { $_ = '{"a":' . '[' x 100_000 . ']' x 100_000 . '}' }), qr/^(22P03|54001)$/ ]);
cmp_ok(scalar @cases, '>=', 40, scalar(@cases) . ' hostile files');
my %different = map { $_->[1] => 1 } @cases;
is(scalar keys %different, scalar @cases, 'all different');

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init;
$node->start;
# Without the model that ships: what is counted here is this test's own.
$node->safe_psql('postgres', "CREATE EXTENSION moviebert; SELECT bert_drop_model('moviebert-1')");
ModelFile::write_file("$dir/good", $good);
like($node->safe_psql('postgres', "SELECT bert_load_model('good', '$dir/good')"), qr/^[0-9a-f]{64}$/, 'the file that all are made from is good');
my $rows     = 'SELECT (SELECT count(*) FROM bert_model), (SELECT count(*) FROM bert_model_chunk)';
my $session  = Session->new($node, 'postgres');
my $pid      = $session->pid;
my $messages = {};

for my $case (@cases)
{
	my ($what, $bytes, $state) = @$case;
	$state = qr/^$state$/ unless ref $state;
	ModelFile::write_file("$dir/hostile", $bytes);
	$session->query("SELECT bert_load_model('hostile', '$dir/hostile')");
	like($session->sqlstate, $state, "$what: SQLSTATE") or diag($session->error);
	my ($message) = $session->error =~ /ERROR:  \w{5}: (.*)/;
	$messages->{$message // ''}++;
	$session->query("SELECT bert_load_model('hostile', pg_read_binary_file('$dir/hostile'))");
	like($session->sqlstate, $state, "$what: as bytes");
	is($session->query($rows), '1|1', "$what: no row is left");
}
is($session->pid, $pid, 'one backend has survived them all');
# Nothing is left of them in the backend: what a file took was given back.
is($session->query("SELECT cardinality(bert_embed('a ghost', 'good'))"), '32', 'and works');
cmp_ok(scalar keys %$messages, '>=', 45, scalar(keys %$messages) . ' different messages');

# The same by way of chunks, as the tool brings them.
$session->query(q{INSERT INTO bert_model_chunk SELECT encode(sha256(b), 'hex'), 0, b FROM pg_read_binary_file('} . "$dir/hostile" . q{') AS b});
$session->query(qq{SELECT bert_register_model('hostile', encode(sha256(pg_read_binary_file('$dir/hostile')), 'hex'))});
like($session->sqlstate, qr/^(22P03|54001)$/, 'a hostile file that is in the chunks is not registered');
$session->query(q{DELETE FROM bert_model_chunk WHERE sha256 NOT IN (SELECT sha256 FROM bert_model)});

# A row that claims more than its bytes are: found out when the image is made.
$session->query(q{INSERT INTO bert_model SELECT 'forged', encode(sha256('nonsense'), 'hex'), 8, now(), 0, kind, architecture, parameters,
	dimensions, max_length, pooling, normalize, long_text, window_stride, problem, tags, thresholds, card FROM bert_model});
$session->query(q{INSERT INTO bert_model_chunk VALUES (encode(sha256('nonsense'), 'hex'), 0, 'nonsense')});
$session->query(q{SELECT bert_embed('a ghost', 'forged')});
is($session->sqlstate, 'XX001', 'a forged row is found out when it is used: SQLSTATE XX001');
is(join(' ', grep { /pgsql_tmp/ } glob($node->data_dir . '/moviebert/*')), '', 'and leaves no file');

$session->close;
$node->stop;
done_testing();
