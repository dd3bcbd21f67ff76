/*
 * header_mutator.h - a mutation that keeps a safetensors file's header size right, for the fuzz targets of such files.
 *
 * Without it nearly every change of the header's length is a file whose header ends at the wrong byte, and nothing
 * behind the first check is reached.  One mutation in eight is left as it comes.
 */
#ifndef MOVIEBERT_FUZZ_HEADER_MUTATOR_H
#define MOVIEBERT_FUZZ_HEADER_MUTATOR_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t header = 0;
	size_t rest;
	uint8_t *tail;

	for (size_t i = 0; i < 8 && size >= 8; i++)
		header |= (uint64_t) data[i] << 8 * i;
	if (size < 9 || size > max_size || header == 0 || header > size - 8 || seed % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	rest = size - 8 - header;
	if (seed % 8 == 1 && rest > 0) /* the data */
		return 8 + header + LLVMFuzzerMutate(data + 8 + header, rest, max_size - 8 - header);
	tail = malloc(rest + 1);
	if (tail == NULL)
		return size;
	memcpy(tail, data + 8 + header, rest);
	header = LLVMFuzzerMutate(data + 8, header, max_size - 8 - rest);
	memcpy(data + 8 + header, tail, rest);
	for (size_t i = 0; i < 8; i++)
		data[i] = (uint8_t) (header >> 8 * i);
	free(tail);
	return 8 + header + rest;
}

#endif
