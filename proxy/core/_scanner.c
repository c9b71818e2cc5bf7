/* Walks through the items of a List while it arrives: every byte is looked at once, whatever the chunking.
 *
 * A Scanner is a state machine that can pause behind any byte, also inside a number, an escape or a character. It
 * checks the grammar of RFC 8259 and UTF-8 (RFC 3629), refuses half of a surrogate pair in an escape, and tells where
 * items begin and end. It holds no bytes, allocates nothing but its answer, and reads nothing outside its buffer.
 *
 * proving.py does the same without a compiler, finder.py says what both promise. Costs below are CPU seconds per GB of
 * pods of 2.5 KB, on an AMD EPYC with SSE2; msgspec's check of the same grammar, which leaves out UTF-8, takes 0.63.
 */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#endif

/* As deep as Go's encoding/json goes. A bit a level says what is outside: 1 for an object, 0 for an array. */
#define MAX_DEPTH 10000
#define WORD_BITS 64

/* What strings are looked at in: a bit of a word for each byte. */
#define BLOCK 64

/* What few strings need stays out of the walk, where it would take registers from all: 0.34 instead of 0.37. */
#if defined(__GNUC__)
#define RARE __attribute__((noinline))
#else
#define RARE
#endif

typedef unsigned char Byte;

/* What may come next. Those up to CLOSED are between items. */
enum State {
    FIRST_ITEM, ITEM, AFTER_ITEM, CLOSED,
    VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, AFTER_VALUE,
    STRING, ESCAPE, HEX, LOW_BACKSLASH, LOW_U, CHARACTER,
    MINUS, ZERO, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS,
    LITERAL
};

/* The numbers are those of FAULTS in scanner.py. */
enum Fault { NONE, BAD_JSON, BAD_UTF8, TOO_DEEP, TOO_LARGE, LONE_SURROGATE, NO_COMMA, NO_MEMORY = -1 };

typedef struct {
    PyObject_HEAD
    enum State state;
    enum Fault fault;
    int in_object;          /* whether the innermost bracket that is open is a brace */
    int is_key;             /* whether the string is one */
    int is_low;             /* whether the digits are the second half of a surrogate pair */
    int digits;             /* of an escape that are missing */
    unsigned unit;          /* what those before say */
    int more;               /* bytes of a character that are missing */
    Byte least, most;       /* between which the next of them is */
    const char *literal;    /* what is missing of it */
    Py_ssize_t depth;
    Py_ssize_t max_item_bytes;
    Py_ssize_t seen;        /* bytes behind what was told that have been walked */
    Py_ssize_t begin;       /* where the current item begins, counted from there */
    uint64_t outside[MAX_DEPTH / WORD_BITS + 1];
} Scanner;

/* What one walk has found, counted from the first byte that was not told before. */
typedef struct {
    Py_ssize_t start;
    Py_ssize_t end;
    PyObject *sizes;
} Found;

static inline int is_space(Byte byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static inline int is_digit(Byte byte) {
    return (Byte)(byte - '0') < 10;
}

/* What a hexadecimal digit says, and one more; 0 for everything else. */
static const Byte hex_digits[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static inline int lowest_bit(uint64_t mask) {
#if defined(_MSC_VER)
    unsigned long at;
    _BitScanForward64(&at, mask);
    return (int)at;
#else
    return __builtin_ctzll(mask);
#endif
}

/* A bit for each byte of a block that needs a closer look in a string: quotes, backslashes, control characters, and
 * what is not ASCII. */
#if defined(__SSE2__) || defined(_M_X64)
static inline uint64_t special_16(const Byte *at) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')); /* signed: what is not ASCII is less than 0 */
    return (uint64_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), other));
}

static inline uint64_t special(const Byte *at) {
    return special_16(at) | special_16(at + 16) << 16 | special_16(at + 32) << 32 | special_16(at + 48) << 48;
}
#elif defined(__ARM_NEON) && defined(__aarch64__)
/* Each byte that is special as the bit of its place among eight. */
static inline uint8x16_t special_16(const Byte *at) {
    static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bytes = vld1q_u8(at);
    const uint8x16_t quote = vceqq_u8(bytes, vdupq_n_u8('"'));
    const uint8x16_t backslash = vceqq_u8(bytes, vdupq_n_u8('\\'));
    const uint8x16_t other = vcltq_s8(vreinterpretq_s8_u8(bytes), vdupq_n_s8(' ')); /* signed, as above */
    return vandq_u8(vorrq_u8(vorrq_u8(quote, backslash), other), vld1q_u8(places));
}

static inline uint64_t special(const Byte *at) {
    const uint8x16_t low = vpaddq_u8(special_16(at), special_16(at + 16));
    const uint8x16_t high = vpaddq_u8(special_16(at + 32), special_16(at + 48));
    const uint8x16_t sums = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}
#else
static inline uint64_t special(const Byte *at) {
    uint64_t found = 0;
    for (int place = 0; place < BLOCK; place++)
        found |= (uint64_t)(at[place] == '"' || at[place] == '\\' || at[place] < ' ' || at[place] >= 0x80) << place;
    return found;
}
#endif

/* The block that was looked at last. Its bits are kept, as several strings lie in one: to look anew from the beginning
 * of each costs 0.45 instead of 0.40, since a look can begin only when the end of the string before has been found.
 * Wider registers (AVX2) spare nothing. */
typedef struct {
    const Byte *end;
    uint64_t special;
} Block;

/* Look at the block at `p`; behind the end of the buffer everything is special. */
static inline uint64_t look(Block *block, const Byte *p, const Byte *end) {
    if (end - p >= BLOCK) {
        block->special = special(p);
    } else {
        Byte rest[BLOCK] = {0};
        memcpy(rest, p, (size_t)(end - p));
        block->special = special(rest);
    }
    block->end = p + BLOCK;
    return block->special;
}

/* Skip what a string may hold as it is: all of ASCII but quotes, backslashes and control characters. */
static inline const Byte *skip_plain(Block *block, const Byte *p, const Byte *end) {
    uint64_t found;
    if (p < block->end) {
        found = block->special >> (BLOCK - (block->end - p));
        if (found)
            return p + lowest_bit(found);
        p = block->end;
    }
    while (!(found = look(block, p, end)))
        p += BLOCK;
    return p + lowest_bit(found);
}

static inline const Byte *skip_digits(const Byte *p, const Byte *end) {
    while (p < end && is_digit(*p))
        p++;
    return p;
}

/* Take the first byte of a character: how many follow, and between what the next is (RFC 3629, section 4). */
RARE static int begin_character(Scanner *self, Byte byte) {
    self->least = 0x80;
    self->most = 0xBF;
    if (byte < 0xC2 || byte > 0xF4)
        return 0;
    self->more = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
        self->least = 0xA0; /* shorter forms exist */
    else if (byte == 0xED)
        self->most = 0x9F; /* surrogates */
    else if (byte == 0xF0)
        self->least = 0x90; /* shorter forms exist */
    else if (byte == 0xF4)
        self->most = 0x8F; /* behind U+10FFFF */
    return 1;
}

/* Whether four bytes are digits that say a character, and not half of a pair. */
static inline int is_character(const Byte *p) {
    const int is_surrogate = hex_digits[p[0]] == 0xD + 1 && hex_digits[p[1]] >= 0x8 + 1;
    return hex_digits[p[0]] && hex_digits[p[1]] && hex_digits[p[2]] && hex_digits[p[3]] && !is_surrogate;
}

static inline int is_next(Byte byte) {
    return (byte & 0xC0) == 0x80;
}

/* Skip characters that are not ASCII and lie in the buffer as a whole; what may be wrong is left to a closer look. */
RARE static const Byte *skip_characters(const Byte *p, const Byte *end) {
    while (end - p >= 4 && *p >= 0xC2) {
        if (*p < 0xE0) {
            if (!is_next(p[1]))
                return p;
            p += 2;
        } else if (*p < 0xF0) {
            const unsigned code = (unsigned)(p[0] & 0x0F) << 6 | (p[1] & 0x3F); /* without its last six bits */
            if (!is_next(p[1]) || !is_next(p[2]) || code < 0x800 >> 6 || code - (0xD800 >> 6) < 0x800 >> 6)
                return p;
            p += 3;
        } else {
            const unsigned code = (unsigned)(p[0] & 0x0F) << 6 | (p[1] & 0x3F); /* without its last twelve bits */
            if (!is_next(p[1]) || !is_next(p[2]) || !is_next(p[3]) || code - (0x10000 >> 12) >= 0x100000 >> 12)
                return p;
            p += 4;
        }
    }
    return p;
}

/* Whether what has not ended at `at`, an item or the white space between two, is over the limit. */
static inline int is_large(const Scanner *self, enum State state, const Found *found, Py_ssize_t at) {
    const Py_ssize_t begin = state > CLOSED ? self->begin : found->end < 0 ? 0 : found->end;
    return at - begin > self->max_item_bytes;
}

/* Note an item that is complete. */
RARE static enum Fault add_item(Scanner *self, Found *found, Py_ssize_t end) {
    const Py_ssize_t size = end - self->begin;
    PyObject *number;
    int failed;
    if (size > self->max_item_bytes)
        return TOO_LARGE;
    if (found->end < 0)
        found->start = self->begin;
    found->end = end;
    number = PyLong_FromSsize_t(size);
    if (number == NULL)
        return NO_MEMORY;
    failed = PyList_Append(found->sizes, number);
    Py_DECREF(number);
    return failed ? NO_MEMORY : NONE;
}

#define PAUSE(next) do { state = (next); goto paused; } while (0)
#define NEED_BYTE(next) do { if (p == end) PAUSE(next); } while (0)
#define NEED_TOKEN(next) do { while (p < end && is_space(*p)) p++; NEED_BYTE(next); } while (0)
#define REFUSE(what) do { fault = (what); goto refused; } while (0)

/* Walk from what has been seen to the end of the buffer, or of the array. A label for each state: where a byte is
 * missing the state pauses, and the switch comes back to it. `p` leaves no byte behind that has not been judged. */
static enum Fault walk(Scanner *self, const Byte *told, const Byte *end, Found *found) {
    const Byte *p = told + self->seen;
    Py_ssize_t depth = self->depth;
    int in_object = self->in_object, is_key = self->is_key;
    enum State state = self->state;
    enum Fault fault = NONE;
    Block block = {p, 0};

    switch (state) {
    case FIRST_ITEM: goto first_item;
    case ITEM: goto item;
    case AFTER_ITEM: goto after_item;
    case CLOSED: goto paused;
    case VALUE: goto value;
    case FIRST_VALUE: goto first_value;
    case KEY: goto key;
    case FIRST_KEY: goto first_key;
    case COLON: goto colon;
    case AFTER_VALUE: goto after_value;
    case STRING: goto string;
    case ESCAPE: goto escape;
    case HEX: goto hex;
    case LOW_BACKSLASH: goto low_backslash;
    case LOW_U: goto low_u;
    case CHARACTER: goto character;
    case MINUS: goto minus;
    case ZERO: goto zero;
    case INTEGER: goto integer;
    case POINT: goto point;
    case FRACTION: goto fraction;
    case EXPONENT: goto exponent;
    case EXPONENT_SIGN: goto exponent_sign;
    case EXPONENT_DIGITS: goto exponent_digits;
    case LITERAL: goto literal;
    }

first_item:
    NEED_TOKEN(FIRST_ITEM);
    if (*p == ']')
        PAUSE(CLOSED);
item:
    NEED_TOKEN(ITEM);
    if (is_large(self, state, found, p - told))
        REFUSE(TOO_LARGE);
    self->begin = p - told;
    state = VALUE;

value:
    NEED_TOKEN(VALUE);
    switch (*p) {
    case '"':
        p++;
        is_key = 0;
        goto string;
    case '{':
        p++;
        goto open_object;
    case '[':
        p++;
        goto open_array;
    case '-':
        p++;
        goto minus;
    case '0':
        p++;
        goto zero;
    case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        p++;
        goto integer;
    case 't':
        p++;
        self->literal = "rue";
        goto literal;
    case 'f':
        p++;
        self->literal = "alse";
        goto literal;
    case 'n':
        p++;
        self->literal = "ull";
        goto literal;
    default:
        REFUSE(BAD_JSON);
    }

after_value:
    if (depth == 0) {
        fault = add_item(self, found, p - told);
        if (fault)
            goto refused;
        state = AFTER_ITEM;
        goto after_item;
    }
    NEED_TOKEN(AFTER_VALUE);
    if (*p == ',') {
        p++;
        if (in_object)
            goto key;
        goto value;
    }
    if (*p != (in_object ? '}' : ']'))
        REFUSE(BAD_JSON);
    goto close;

after_item:
    NEED_TOKEN(AFTER_ITEM);
    if (*p == ']')
        PAUSE(CLOSED);
    if (*p != ',')
        REFUSE(NO_COMMA);
    p++;
    state = ITEM;
    goto item;

open_object:
    if (depth == MAX_DEPTH)
        REFUSE(TOO_DEEP);
    self->outside[depth / WORD_BITS] &= ~((uint64_t)1 << depth % WORD_BITS);
    self->outside[depth / WORD_BITS] |= (uint64_t)in_object << depth % WORD_BITS;
    depth++;
    in_object = 1;
first_key:
    NEED_TOKEN(FIRST_KEY);
    if (*p == '}')
        goto close;
key:
    NEED_TOKEN(KEY);
    if (*p != '"')
        REFUSE(BAD_JSON);
    p++;
    is_key = 1;
    goto string;

open_array:
    if (depth == MAX_DEPTH)
        REFUSE(TOO_DEEP);
    self->outside[depth / WORD_BITS] &= ~((uint64_t)1 << depth % WORD_BITS);
    self->outside[depth / WORD_BITS] |= (uint64_t)in_object << depth % WORD_BITS;
    depth++;
    in_object = 0;
first_value:
    NEED_TOKEN(FIRST_VALUE);
    if (*p != ']')
        goto value;
close:
    p++;
    depth--;
    in_object = self->outside[depth / WORD_BITS] >> depth % WORD_BITS & 1;
    goto after_value;

colon:
    NEED_TOKEN(COLON);
    if (*p != ':')
        REFUSE(BAD_JSON);
    p++;
    goto value;

string:
    p = skip_plain(&block, p, end);
    NEED_BYTE(STRING);
    if (*p == '"') {
        /* The usual way on, to the next string, in one step: all the ways below, but 0.34 instead of 0.40. */
        if (is_key) {
            if (end - p > 2 && p[1] == ':' && p[2] == '"') {
                p += 3;
                is_key = 0;
                goto string;
            }
            p++;
            goto colon;
        }
        if (in_object && end - p > 2 && p[1] == ',' && p[2] == '"') {
            p += 3;
            is_key = 1;
            goto string;
        }
        p++;
        goto after_value;
    }
    if (*p < ' ')
        REFUSE(BAD_JSON);
    if (*p >= 0x80) {
        const Byte *behind = skip_characters(p, end);
        if (behind > p) {
            p = behind;
            goto string;
        }
        if (!begin_character(self, *p))
            REFUSE(BAD_UTF8);
        p++;
        goto character;
    }
    p++;
escape:
    NEED_BYTE(ESCAPE);
    switch (*p) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        p++;
        goto string;
    case 'u':
        p++;
        if (end - p >= 4 && is_character(p)) {
            p += 4;
            goto string;
        }
        self->is_low = 0;
        goto unit;
    default:
        REFUSE(BAD_JSON);
    }

unit:
    self->digits = 4;
    self->unit = 0;
hex:
    while (self->digits) {
        NEED_BYTE(HEX);
        if (hex_digits[*p] == 0)
            REFUSE(BAD_JSON);
        self->unit = self->unit << 4 | (unsigned)(hex_digits[*p] - 1);
        self->digits--;
        p++;
    }
    if (self->is_low != (self->unit >= 0xDC00 && self->unit <= 0xDFFF))
        REFUSE(LONE_SURROGATE);
    if (self->unit < 0xD800 || self->unit > 0xDBFF)
        goto string;
low_backslash:
    NEED_BYTE(LOW_BACKSLASH);
    if (*p != '\\')
        REFUSE(LONE_SURROGATE);
    p++;
low_u:
    NEED_BYTE(LOW_U);
    if (*p != 'u')
        REFUSE(LONE_SURROGATE);
    p++;
    self->is_low = 1;
    goto unit;

character:
    while (self->more) {
        NEED_BYTE(CHARACTER);
        if (*p < self->least || *p > self->most)
            REFUSE(BAD_UTF8);
        self->least = 0x80;
        self->most = 0xBF;
        self->more--;
        p++;
    }
    goto string;

minus:
    NEED_BYTE(MINUS);
    if (!is_digit(*p))
        REFUSE(BAD_JSON);
    if (*p++ != '0')
        goto integer;
zero:
    NEED_BYTE(ZERO);
    goto after_integer;
integer:
    p = skip_digits(p, end);
    NEED_BYTE(INTEGER);
after_integer:
    if (*p == '.') {
        p++;
        goto point;
    }
    goto after_fraction;
point:
    NEED_BYTE(POINT);
    if (!is_digit(*p))
        REFUSE(BAD_JSON);
fraction:
    p = skip_digits(p, end);
    NEED_BYTE(FRACTION);
after_fraction:
    if (*p != 'e' && *p != 'E')
        goto after_value;
    p++;
exponent:
    NEED_BYTE(EXPONENT);
    if (*p == '+' || *p == '-')
        p++;
exponent_sign:
    NEED_BYTE(EXPONENT_SIGN);
    if (!is_digit(*p))
        REFUSE(BAD_JSON);
exponent_digits:
    p = skip_digits(p, end);
    NEED_BYTE(EXPONENT_DIGITS);
    goto after_value;

literal:
    while (*self->literal) {
        NEED_BYTE(LITERAL);
        if (*p != (Byte)*self->literal)
            REFUSE(BAD_JSON);
        self->literal++;
        p++;
    }
    goto after_value;

paused:
    if (is_large(self, state, found, p - told))
        REFUSE(TOO_LARGE);
    self->state = state;
    self->depth = depth;
    self->in_object = in_object;
    self->is_key = is_key;
    self->seen = p - told;
    return NONE;

refused:
    /* The size goes first, so that the verdict does not depend on how much of a large item came at once. */
    if (fault > NONE && is_large(self, state, found, p - told))
        fault = TOO_LARGE;
    return self->fault = fault;
}

PyDoc_STRVAR(find_doc,
"find(window, at)\n--\n\n"
"Walk on in `window`, whose bytes before `at` have been told, and return what is new in it: a fault (0 for none),\n"
"where the first item begins and the last one ends, and the size of each. Without items the end of the array is told\n"
"as an empty place, and where bytes are missing the beginning is -1.");

static PyObject *find(PyObject *object, PyObject *args) {
    Scanner *self = (Scanner *)object;
    Py_buffer window;
    Py_ssize_t at;
    Found found = {-1, -1, NULL};
    enum Fault fault = self->fault;
    if (!PyArg_ParseTuple(args, "y*n", &window, &at))
        return NULL;
    if (at < 0 || at > window.len || self->seen > window.len - at) {
        PyErr_SetString(PyExc_ValueError, "the window has lost bytes that were not told");
        goto failed;
    }
    found.sizes = PyList_New(0);
    if (found.sizes == NULL)
        goto failed;
    if (fault == NONE) {
        const Byte *told = (const Byte *)window.buf + at;
        fault = walk(self, told, told + (window.len - at), &found);
    }
    if (fault == NO_MEMORY) {
        PyErr_NoMemory();
        goto failed;
    }
    if (found.end >= 0) {
        self->seen -= found.end;
        self->begin -= found.end;
    } else if (self->state == CLOSED) {
        found.start = found.end = self->seen;
    }
    PyBuffer_Release(&window);
    if (found.start < 0)
        return Py_BuildValue("innN", (int)fault, (Py_ssize_t)-1, (Py_ssize_t)-1, found.sizes);
    return Py_BuildValue("innN", (int)fault, at + found.start, at + found.end, found.sizes);
failed:
    Py_XDECREF(found.sizes);
    PyBuffer_Release(&window);
    return NULL;
}

static PyObject *new_scanner(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    Py_ssize_t max_item_bytes;
    Scanner *self;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "n", &max_item_bytes))
        return NULL;
    self = (Scanner *)PyType_GenericAlloc(type, 0); /* all zero: before the first item */
    if (self != NULL)
        self->max_item_bytes = max_item_bytes;
    return (PyObject *)self;
}

static void free_scanner(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"find", find, METH_VARARGS, find_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)"Scanner(max_item_bytes): finds the items of one List, from behind its '['."},
    {Py_tp_new, (void *)new_scanner},
    {Py_tp_dealloc, (void *)free_scanner},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {"proxy.core._scanner.Scanner", sizeof(Scanner), 0, Py_TPFLAGS_DEFAULT, slots};

static int fill(PyObject *module) {
    PyObject *type = PyType_FromSpec(&spec);
    int failed;
    if (type == NULL)
        return -1;
    failed = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return failed ? -1 : PyModule_AddIntConstant(module, "MAX_DEPTH", MAX_DEPTH);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)fill},
    {0, NULL},
};

static PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_scanner",
    .m_doc = "The compiled half of proxy.core.scanner.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__scanner(void) {
    return PyModuleDef_Init(&module);
}
