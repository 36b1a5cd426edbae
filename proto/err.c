#include "err.h"

const char *err_text(enum err e)
{
	switch (e) {
	case ERR_OK:
		return "success";
#define X(name, num, code, text)                                               \
	case name:                                                             \
		return text;
		ERR_MAP(X)
#undef X
	}
	return "unknown error";
}

const char *err_code(enum err e)
{
	switch (e) {
	case ERR_OK:
		return "ok";
#define X(name, num, code, text)                                               \
	case name:                                                             \
		return code;
		ERR_MAP(X)
#undef X
	}
	return "unknown";
}
