# TinyCheckpoint.pm - a BERT small enough to write from Perl: random weights, a vocabulary given by the caller.
package TinyCheckpoint;

use strict;
use warnings;
use JSON::PP;
use ModelFile;

# The same numbers on every machine.
sub generator
{
	my $state = shift;
	return sub {
		my $sum = 0;
		for (1 .. 4)
		{
			$state = ($state * 1103515245 + 12345) & 0x7fffffff;
			$sum += $state / 0x7fffffff;
		}
		return $sum - 2;    # near a normal of deviation 0.58
	};
}

# write_checkpoint($folder, words => [...], layers => 1, seed => 1)
sub write_checkpoint
{
	my ($folder, %option) = @_;
	my ($H, $I, $P, $layers) = (32, 64, 64, $option{layers} // 1);
	my @vocab = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', @{ $option{words} });
	my $next  = generator($option{seed} // 1);
	my %shape = ModelFile::encoder_shapes(
		hidden => $H, intermediate => $I, positions => $P, vocab => scalar @vocab, layers => $layers);
	my (%header, $data);
	$data = '';
	for my $name (sort keys %shape)
	{
		my $n = 1;
		$n *= $_ for @{ $shape{$name} };
		my $scale = $name =~ /word_embeddings/ ? 1.0 : $name =~ /position/ ? 0.05 : 0.2;
		my @values = map {
			    $name =~ /LayerNorm\.weight/ ? 1
			  : $name =~ /bias$/             ? 0
			  :                                $scale * $next->()
		} 1 .. $n;
		my $start = length $data;
		$data .= pack('f<*', @values);
		$header{$name} = { dtype => 'F32', shape => $shape{$name}, data_offsets => [ $start, length $data ] };
	}
	my $json = JSON::PP->new->canonical;
	mkdir $folder or die "mkdir $folder: $!";
	my $text = $json->encode(\%header);
	$text .= ' ' while length($text) % 8;
	spew("$folder/model.safetensors", pack('Q<', length $text) . $text . $data);
	spew("$folder/vocab.txt", join("\n", @vocab) . "\n");
	spew(
		"$folder/config.json",
		$json->encode(
			{   architectures           => ['BertModel'],
				model_type              => 'bert',
				vocab_size              => scalar @vocab,
				hidden_size             => $H,
				num_hidden_layers       => $layers,
				num_attention_heads     => 4,
				intermediate_size       => $I,
				max_position_embeddings => $P,
				type_vocab_size         => 2,
				layer_norm_eps          => 1e-12,
				hidden_act              => 'gelu' }));
	spew("$folder/tokenizer_config.json", $json->encode({ do_lower_case => JSON::PP::true, model_max_length => $P }));
	return $folder;
}

sub spew
{
	my ($path, $bytes) = @_;
	open my $out, '>:raw', $path or die "$path: $!";
	print $out $bytes;
	close $out or die "$path: $!";
	return;
}

1;
