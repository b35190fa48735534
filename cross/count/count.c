// A plugin of qemu-user that counts the instructions a program executes: all of them, by function and by mnemonic.
//
// Blocks of code are counted, not instructions: a block that a signal leaves early counts whole. Debian's qemu-user has
// no header for plugins, so what is used of the interface (version 1) is declared here.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

int qemu_plugin_version = 1;

// A translated block. The first instruction's function stands for all of it.
struct block {
    uint64_t times;
    const char *function;
    size_t length;
    struct block *next;
    struct name *kinds[];
};

struct name {
    char *text;
    uint64_t count;
    struct name *next;
};

static struct block *blocks;
static struct name *functions, *kinds;
static const char *out;

// The entry of that name in a list. Called while translating (which qemu does one thread at a time) and at the end.
static struct name *entry(struct name **list, const char *text, size_t length) {
    struct name *name = *list;
    while (name && (strncmp(name->text, text, length) || name->text[length]))
        name = name->next;
    if (!name) {
        name = calloc(1, sizeof *name);
        name->text = strndup(text, length);
        name->next = *list;
        *list = name;
    }
    return name;
}

static void ran(unsigned cpu, void *block) {
    (void)cpu;
    __atomic_fetch_add(&((struct block *)block)->times, 1, __ATOMIC_RELAXED);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    size_t length = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + length * sizeof *block->kinds);
    const char *function = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
    block->function = function && *function ? function : "(no symbol)";
    block->length = length;
    for (size_t i = 0; i < length; i++) {
        char *text = qemu_plugin_insn_disas(qemu_plugin_tb_get_insn(tb, i));
        block->kinds[i] = entry(&kinds, text, strcspn(text, " \t"));
        free(text);
    }
    block->next = blocks;
    blocks = block;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, block);
}

static void ended(qemu_plugin_id_t id, void *nothing) {
    (void)id, (void)nothing;
    uint64_t all = 0;
    for (struct block *block = blocks; block; block = block->next) {
        all += block->times * block->length;
        entry(&functions, block->function, strlen(block->function))->count += block->times * block->length;
        for (size_t i = 0; i < block->length; i++)
            block->kinds[i]->count += block->times;
    }
    FILE *file = fopen(out, "w");
    if (!file) {
        perror(out);
        return;
    }
    fprintf(file, "all\t%llu\tinstructions\n", (unsigned long long)all);
    for (struct name *name = functions; name; name = name->next)
        fprintf(file, "function\t%llu\t%s\n", (unsigned long long)name->count, name->text);
    for (struct name *name = kinds; name; name = name->next)
        fprintf(file, "kind\t%llu\t%s\n", (unsigned long long)name->count, name->text);
    fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4)) {
        fprintf(stderr, "count: expected out=FILE\n");
        return 1;
    }
    out = strdup(argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
