/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "gfreplica/decoder.h"
#include "run_suite.h"

typedef struct {
    const char *hex, *text; /* text NULL: malformed */
} sample;

/* By the layout in json.c; real documents go both ways in tests/integration/test_values.c. */
static const sample samples[] = {
    {"", "null"},
    {"0400", "null"},
    {"0401", "true"},
    {"0402", "false"},
    {"0403", NULL},
    {"05ffff", "-1"},
    {"06ffff", "65535"},
    {"0700000080", "-2147483648"},
    {"08ffffffff", "4294967295"},
    {"090000000000000080", "-9223372036854775808"},
    {"0affffffffffffffff", "18446744073709551615"},
    {"0b0000000000004040", "32.0"},
    {"0c00", "\"\""},
    {"0c0761225c0a011f7f", "\"a\\\"\\\\\\n\\u0001\\u001f\x7f\""},
    {"0c8001", NULL}, /* 128 bytes, none there */
    {"0cffffffffff", NULL},
    {"0200000400", "[]"},
    {"0000000400", "{}"},
    {"020300"
     "0d00"
     "040000"
     "050100"
     "06ffff",
     "[null, 1, 65535]"},
    {"000100"
     "0c00"
     "0b000100"
     "05feff"
     "61",
     "{\"a\": -2}"},
    {"000100"
     "0c00"
     "0b000200"
     "05feff"
     "61",
     NULL},               /* a name beyond the object */
    {"0200000300", NULL}, /* smaller than its own head */
    {"020100"
     "ff00"
     "050100",
     NULL}, /* larger than the document */
    {"020100"
     "0700"
     "0c0700",
     NULL}, /* an element beyond the array */
    {"02ffff"
     "0700"
     "050100",
     NULL}, /* more elements than bytes */
    {"0300000000"
     "08000000",
     "[]"},
    {"0301000000"
     "0d000000"
     "0805000000",
     "[5]"},
    {"0ff620"
     "421e"
     "7fffff3be7b652e8e813858ee6648a06e1d5f76ee56802cffe656f84ff4a",
     "-196407481623401373809429618681.506071185446168368026906747181"}, /* 60 digits, counted as 66 */
    {"0ff607"
     "0402"
     "8c32"
     "0000"
     "00",
     NULL}, /* decimal: more bytes than its digits need */
    {"0ff604"
     "0402"
     "8c32",
     "12.50"},
    {"0f0a08"
     "0000000000"
     "44b219",
     "\"2024-01-02\""},
    {"0f0b08"
     "0000000000000080",
     NULL}, /* the smallest number is no TIME */
    {"0f0b08"
     "ffffffffffffffff",
     "\"-00:00:00.000001\""},
    {"0f0c08"
     "0000000000"
     "44b219",
     "\"2024-01-02 00:00:00.000000\""},
    {"0f0c08"
     "ffffffffffffffff",
     NULL}, /* nor is there a DATETIME before 0 */
    {"0f0c07"
     "ffffffffffffff",
     NULL},
    {"0ffc03"
     "010203",
     "\"base64:type252:AQID\""},
    {"0ffc01"
     "01",
     "\"base64:type252:AQ==\""},
    {"0ffc00", "\"base64:type252:\""},
    {"0d00", NULL},
    {"ff", NULL},
};

static gf_slice unhex(const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *out = gf_malloc(len);

    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return gf_slice_of(out, len);
}

START_TEST(json__prints_or_refuses_every_form)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        gf_slice binary = unhex(samples[i].hex);
        gf_buf out = {0};
        bool ok = gf_json_text(&out, binary, false);

        ck_assert_msg(ok == (samples[i].text != NULL), "%s: %s", samples[i].hex, gf_buf_cstr(&out));
        if (ok)
            ck_assert_str_eq(gf_buf_cstr(&out), samples[i].text);
        gf_buf_free(&out);
        free((void *)(uintptr_t)binary.data);
    }
}
END_TEST

START_TEST(json__refuses_what_is_cut_short)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        gf_slice binary = unhex(samples[i].hex);

        for (size_t cut = 1; samples[i].text != NULL && cut < binary.len; cut++) {
            uint8_t *exact = gf_malloc(cut); /* so that ASan sees a byte too far */
            gf_buf out = {0};

            memcpy(exact, binary.data, cut);
            ck_assert_msg(!gf_json_text(&out, gf_slice_of(exact, cut), false), "%s cut to %zu", samples[i].hex, cut);
            gf_buf_free(&out);
            free(exact);
        }
        free((void *)(uintptr_t)binary.data);
    }
}
END_TEST

/* Arrays in arrays, each element an offset to the next: `elements` of them point to the same one. */
static gf_slice nested(unsigned depth, unsigned elements)
{
    size_t size = 4 + 3 * (size_t)elements, len = 1 + depth * size + 4;
    uint8_t *out = gf_calloc(1, len), *p = out + 1;

    out[0] = 2;
    for (unsigned d = 0; d < depth; d++, p += size) {
        size_t left = len - (size_t)(p - out);

        p[0] = (uint8_t)elements;
        p[2] = (uint8_t)left;
        p[3] = (uint8_t)(left >> 8);
        for (unsigned e = 0; e < elements; e++) {
            p[4 + 3 * e] = 2;
            p[4 + 3 * e + 1] = (uint8_t)size;
            p[4 + 3 * e + 2] = (uint8_t)(size >> 8);
        }
    }
    p[2] = 4; /* the innermost: [] */
    return gf_slice_of(out, len);
}

static bool prints(gf_slice binary)
{
    gf_buf out = {0};
    bool ok = gf_json_text(&out, binary, false);

    gf_buf_free(&out);
    free((void *)(uintptr_t)binary.data);
    return ok;
}

START_TEST(json__takes_the_servers_depth_but_no_abyss)
{
    ck_assert(prints(nested(99, 1)));
    ck_assert(!prints(nested(5000, 1)));
}
END_TEST

START_TEST(json__ends_a_document_that_refers_to_itself_again_and_again)
{
    ck_assert(prints(nested(2, 3)));
    ck_assert(!prints(nested(60, 10)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, json__prints_or_refuses_every_form);
    tcase_add_test(tcase, json__refuses_what_is_cut_short);
    tcase_add_test(tcase, json__takes_the_servers_depth_but_no_abyss);
    tcase_add_test(tcase, json__ends_a_document_that_refers_to_itself_again_and_again);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
