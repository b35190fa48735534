// A plugin of qemu-user that counts the instructions which a program executes, by function and mnemonic. It writes lines
// of a count, a function and a mnemonic, with tabs between them.
//
// Blocks of code are counted as a whole, also one that a signal leaves early. Debian's qemu-user brings no header for
// plugins, so what is used of their interface (version 1) is declared here.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin, void (*)(plugin, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(plugin, void (*)(plugin, void *), void *);

int qemu_plugin_version = 1;

// A mnemonic in a function.
struct line {
    char *text;
    uint64_t count;
    struct line *next;
};

// Translated code between two jumps.
struct block {
    uint64_t times;
    size_t length;
    struct block *next;
    struct line *lines[];
};

static struct line *lines[1 << 16];
static struct block *blocks;
static const char *out;

static struct line *line(const char *function, const char *mnemonic) {
    char *text;
    if (asprintf(&text, "%s\t%.*s", function, (int)strcspn(mnemonic, " \t"), mnemonic) < 0)
        abort();
    uint32_t hash = 0;
    for (const char *c = text; *c; c++)
        hash = hash * 31 + (unsigned char)*c;
    struct line **at = &lines[(hash ^ hash >> 16) & 0xffff];
    for (; *at; at = &(*at)->next)
        if (!strcmp((*at)->text, text)) {
            free(text);
            return *at;
        }
    *at = calloc(1, sizeof **at);
    (*at)->text = text;
    return *at;
}

static void ran(unsigned cpu, void *block) {
    (void)cpu;
    __atomic_fetch_add(&((struct block *)block)->times, 1, __ATOMIC_RELAXED);
}

// qemu translates in one thread at a time.
static void translated(plugin id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + length * sizeof *block->lines);
    const char *function = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
    for (size_t i = 0; i < length; i++) {
        char *text = qemu_plugin_insn_disas(qemu_plugin_tb_get_insn(tb, i));
        block->lines[i] = line(function && *function ? function : "-", text);
        free(text);
    }
    block->length = length;
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, block);
}

static void ended(plugin id, void *nothing) {
    (void)id, (void)nothing;
    for (struct block *block = blocks; block; block = block->next)
        for (size_t i = 0; i < block->length; i++)
            block->lines[i]->count += block->times;
    FILE *file = fopen(out, "w");
    for (size_t i = 0; file && i < sizeof lines / sizeof *lines; i++)
        for (struct line *line = lines[i]; line; line = line->next)
            fprintf(file, "%llu\t%s\n", (unsigned long long)line->count, line->text);
    if (!file || fclose(file))
        perror(out);
}

int qemu_plugin_install(plugin id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4)) {
        fprintf(stderr, "count: the plugin wants out=FILE\n");
        return 1;
    }
    out = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
