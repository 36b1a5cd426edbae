#include "node/sample.h"

/* The assembler reads the file, from the top of the source tree: so there is
 * one text, and no generated source. */
__asm__(".section .rodata\n"
	"symbolon_sample_begin:\n"
	".incbin \"conf/symbolon.yaml.sample\"\n"
	"symbolon_sample_end:\n"
	".byte 0\n"
	".previous\n");

extern const uint8_t symbolon_sample_begin[], symbolon_sample_end[];

struct slice sample_config(void)
{
	return slice_of(symbolon_sample_begin,
			(size_t)(symbolon_sample_end - symbolon_sample_begin));
}
