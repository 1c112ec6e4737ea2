/* SPDX-License-Identifier: MIT */
/*
 * fuzz_rowimage.c - row images and binary JSON of any bytes: refused or read, never a crash, never a read too far.
 *
 * Input: a byte that chooses; 0 = the rest is a JSON document; else that many columns (at most 32), each by a byte
 * for its type, one for its attributes, two for the event's type code, three for metadata and declared length; then
 * the bitmap of present columns and the row. Event columns that do not fit the definition are read all the same:
 * the reader promises to survive them.
 *
 * What was read goes on to the literals and to the keys. Without libFuzzer (-DFUZZ_MAIN) the program runs the files
 * that it is given.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gfreplica/decoder.h"
#include "gfreplica/literal.h"

enum { MAX_COLUMNS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char column_name[] = "c", charset_latin1[] = "latin1", charset_utf16[] = "utf16", label[] = "d.t";
static char type_text[] = "some type";

static void fill_column(gf_column *col, uint8_t *wire, uint16_t *meta, gf_cursor *in)
{
    static const uint8_t likely[] = {1,  2,  3,  4,   5,   7,   8,   9,   10,  11,  12,  13,  14,  15, 16,
                                     17, 18, 19, 140, 141, 242, 245, 246, 247, 248, 252, 253, 254, 255};
    uint8_t type = gf_cursor_u8(in), attributes = gf_cursor_u8(in), code = gf_cursor_u8(in);

    *wire = (code & 0x80) != 0 ? gf_cursor_u8(in) : likely[code % sizeof likely];
    *meta = gf_cursor_u16(in);
    *col = (gf_column){.name = column_name,
                       .type_text = type_text,
                       .type = (gf_type)(type % (GF_T_UUID + 1)),
                       .is_unsigned = (attributes & 1) != 0,
                       .fsp = attributes >> 5,
                       .precision = *meta & 0xff,
                       .scale = *meta >> 8,
                       .char_bytes = *meta,
                       .bits = *meta & 0xff,
                       .member_count = *meta & 63};
    if ((attributes & 2) != 0)
        col->charset = (attributes & 4) != 0 ? charset_utf16 : charset_latin1;
}

/* What the other rooms do with a row. */
static void use_row(const gf_table *t, const gf_value *row)
{
    bool relaxed = false;
    gf_buf out = {0};

    gf_literal_tuple(&out, t, row, &relaxed);
    gf_literal_where(&out, t, row);
    gf_buf_free(&out);
}

static void run_row(unsigned count, gf_cursor in)
{
    gf_column columns[MAX_COLUMNS];
    uint8_t types[MAX_COLUMNS];
    uint16_t meta[MAX_COLUMNS];
    bool writes[MAX_COLUMNS];
    gf_value row[MAX_COLUMNS];
    gf_arena arena = {0};
    gf_error err;

    for (unsigned i = 0; i < count; i++) {
        fill_column(&columns[i], &types[i], &meta[i], &in);
        writes[i] = true;
    }
    gf_slice present = gf_cursor_bytes(&in, (count + 7) / 8);
    gf_table t = {.label = label,
                  .columns = columns,
                  .column_count = count > 3 ? count - (count & 1) : count,
                  .identity = -1,
                  .writes = writes,
                  .hidden_columns = count > 3 ? count & 1 : 0};
    gf_event_columns cols = {types, meta, count};

    if (!in.bad) {
        bool fits = gf_rowimage_check(&t, &cols, &err);

        if (gf_rowimage_read(row, &in, &t, &cols, present.data, &arena, &err) && fits)
            use_row(&t, row);
    }
    gf_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (data[0] != 0) {
        run_row(1 + data[0] % MAX_COLUMNS, gf_cursor_of(data + 1, size - 1));
        return 0;
    }
    gf_column json = {.name = column_name, .type = GF_T_JSON};
    bool relaxed = false;
    gf_buf text = {0}, literal = {0};

    if (gf_json_text(&text, gf_slice_of(data + 1, size - 1), (data[0] & 1) != 0)) {
        gf_value v = {.kind = GF_V_JSON, .bytes = gf_slice_of(text.data, text.len)};

        gf_literal_store(&literal, &json, &v, &relaxed);
    }
    gf_buf_free(&text);
    gf_buf_free(&literal);
    return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        static uint8_t data[1 << 20];
        FILE *file = fopen(argv[i], "rb");

        if (file == NULL) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        size_t size = fread(data, 1, sizeof data, file);

        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return EXIT_SUCCESS;
}
#endif
