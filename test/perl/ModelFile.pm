# ModelFile.pm - model files (doc/model-file.md) written from Perl: any size, and any damage that a test asks for.
package ModelFile;

use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode;
use JSON::PP;

our $JSON = JSON::PP->new->canonical->allow_nonref;

my @SPECIAL = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]');
my @WORDS   = qw(a ghost loves robot the film of night rain detective);

# The tensors that every encoder has, by name.
sub encoder_shapes
{
	my %o = @_;
	my ($H, $I, $P, $V) = @o{qw(hidden intermediate positions vocab)};
	my %shape = (
		'embeddings.word_embeddings.weight'       => [ $V, $H ],
		'embeddings.position_embeddings.weight'   => [ $P, $H ],
		'embeddings.token_type_embeddings.weight' => [ 2, $H ],
		'embeddings.LayerNorm.weight'             => [$H],
		'embeddings.LayerNorm.bias'               => [$H],
		'pooler.dense.weight'                     => [ $H, $H ],
		'pooler.dense.bias'                       => [$H]);
	for my $at (map { "encoder.layer.$_" } 0 .. $o{layers} - 1)
	{
		for my $name (qw(attention.self.query attention.self.key attention.self.value attention.output.dense))
		{
			$shape{"$at.$name.weight"} = [ $H, $H ];
			$shape{"$at.$name.bias"}   = [$H];
		}
		$shape{"$at.intermediate.dense.weight"} = [ $I, $H ];
		$shape{"$at.intermediate.dense.bias"}   = [$I];
		$shape{"$at.output.dense.weight"}       = [ $H, $I ];
		$shape{"$at.output.dense.bias"}         = [$H];
		for my $norm (qw(attention.output.LayerNorm output.LayerNorm))
		{
			$shape{"$at.$norm.weight"} = [$H];
			$shape{"$at.$norm.bias"}   = [$H];
		}
	}
	return %shape;
}

# parts(%option): what a file consists of, for a test to change before assemble() makes bytes of it.
#   hidden => 32, layers => 2, intermediate => 64, positions => 64, vocab => 15, seed => 1, pooling => 'mean',
#   max_length => 64, tags => [ [name, threshold], ... ], long_text => 'windows', card => {...}
# Returns { metadata => {...}, tensors => { name => { dtype, shape, data } } }.
sub parts
{
	my %o = (
		hidden => 32, layers => 2, intermediate => 64, positions => 64, vocab => 15, seed => 1, pooling => 'mean',
		max_length => 64, long_text => 'windows', card => { made => 'by a test' }, @_);
	my ($H, $I, $P, $V) = @o{qw(hidden intermediate positions vocab)};
	my @vocab = (@SPECIAL, @WORDS);
	push @vocab, 'w' . scalar @vocab while @vocab < $V;
	$#vocab = $V - 1;
	my $labels = $o{tags} ? scalar @{ $o{tags} } : 0;

	my %shape = encoder_shapes(%o);
	if ($labels)
	{
		$shape{'classifier.weight'} = [ $labels, $H ];
		$shape{'classifier.bias'}   = [$labels];
	}

	my $random = random_floats($o{seed});
	my %tensors = map {
		my $n = 1;
		$n *= $_ for @{ $shape{$_} };
		$_ => { dtype => 'F32', shape => $shape{$_}, data => /LayerNorm\.weight/ ? pack('f<', 1) x $n : $random->($n) }
	} sort keys %shape;

	my %metadata = (
		'format'             => 'pt',
		'moviebert.format'   => '1',
		'moviebert.vocab'    => join("\n", @vocab) . "\n",
		'moviebert.config'   => $JSON->encode(
			{   architectures => ['BertModel'], model_type => 'bert', vocab_size => $V, hidden_size => $H,
				num_hidden_layers => $o{layers}, num_attention_heads => 4, intermediate_size => $I,
				max_position_embeddings => $P, type_vocab_size => 2, layer_norm_eps => 1e-12, hidden_act => 'gelu' }),
		'moviebert.tokenizer' => $JSON->encode(
			{   do_lower_case => JSON::PP::true, strip_accents => JSON::PP::true, tokenize_chinese_chars => JSON::PP::true,
				split_special_tokens => JSON::PP::false, unk_token => '[UNK]', cls_token => '[CLS]', sep_token => '[SEP]',
				pad_token => '[PAD]', mask_token => '[MASK]', additional_special_tokens => [] }),
		'moviebert.pooling' => $JSON->encode(
			{   mode => $o{pooling}, normalize => JSON::PP::true, max_length => $o{max_length}, long_text => $o{long_text},
				window_stride => int($o{max_length} / 2) }),
		'moviebert.card' => $JSON->encode($o{card}));
	if ($labels)
	{
		$metadata{'moviebert.head'} = '{"problem":"multi_label"}';
		$metadata{'moviebert.tags'} =
		  $JSON->encode([ map { { name => $_->[0], threshold => $_->[1], support => 10 } } @{ $o{tags} } ]);
	}
	return { metadata => \%metadata, tensors => \%tensors };
}

# Small numbers around 0, the same on every machine; blocks repeat, so that large files are quickly made.
sub random_floats
{
	my $state = shift;
	my $block = '';
	for (1 .. 4099)
	{
		$state = ($state * 1103515245 + 12345) & 0x7fffffff;
		$block .= pack('f<', ($state / 0x7fffffff - 0.5) * 0.4);
	}
	my $at = 0;
	return sub {
		my $bytes = 4 * shift;
		my $data  = substr($block, $at);
		$data .= $block x (1 + int($bytes / length $block)) if length $data < $bytes;
		$at = ($at + $bytes) % length $block;
		return substr($data, 0, $bytes);
	};
}

# Layout as the format wants it: header, then the tensors one after another.
sub assemble
{
	my $parts = shift;
	my (%header, @data);
	my $at = 0;
	for my $name (sort keys %{ $parts->{tensors} })
	{
		my $tensor = $parts->{tensors}{$name};
		my $end    = $at + length $tensor->{data};
		$header{$name} = { dtype => $tensor->{dtype}, shape => $tensor->{shape}, data_offsets => [ $at, $end ] };
		push @data, $tensor->{data};
		$at = $end;
	}
	$header{__metadata__} = { map { $_ => Encode::decode('UTF-8', "$parts->{metadata}{$_}") } keys %{ $parts->{metadata} } };
	return with_header(Encode::encode('UTF-8', $JSON->encode(\%header)), join('', @data));
}

sub with_header
{
	my ($json, $data) = @_;
	$json .= ' ' while length($json) % 8;
	return pack('Q<', length $json) . $json . $data;
}

# bytes(%option), sha256: a whole, good model file.
sub bytes { return assemble(parts(@_)) }

# header(BYTES): the header as a Perl structure, and the data behind it.
sub header
{
	my $bytes = shift;
	my $n     = unpack 'Q<', $bytes;
	return ($JSON->decode(Encode::decode('UTF-8', substr($bytes, 8, $n))), substr($bytes, 8 + $n));
}

# The path of the file that CREATE EXTENSION reads.
sub shipped
{
	chomp(my $share = qx($ENV{PG_CONFIG} --sharedir));
	return "$share/extension/moviebert.safetensors";
}

# write_file(PATH, BYTES): returns the SHA-256.
sub write_file
{
	my ($path, $bytes) = @_;
	open my $out, '>:raw', $path or die "$path: $!";
	print $out $bytes or die "$path: $!";
	close $out or die "$path: $!";
	return sha256_hex($bytes);
}

1;
