/* How an object of the job is read: a table of its members, each with a reader and a place. */
#ifndef DECANT_CONFIG_INTERNAL_H
#define DECANT_CONFIG_INTERNAL_H

#include "config/config.h"

/* Where in the text we are, for messages: "inputs[2].from". */
struct job_path {
    char text[256];
    size_t size;
};

struct member {
    const char *name;
    /* Reads VALUE to its place AT. */
    enum status (*read)(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e);
    size_t offset;    /* of the place in the struct */
    const void *more; /* what READ needs besides: struct choice, struct range, struct fields */
    bool required;
};

struct choice { /* ends with a NULL name */
    const char *name;
    int value;
};

struct range {
    uint64_t least, most;
};

/* An object or, in arrays, what each element is. */
struct fields {
    const struct member *members;
    size_t n;
    size_t size; /* of the struct, for arrays */
};

#define MEMBER(type, place, name_, read_, ...)                                                     \
    {                                                                                              \
        .name = (name_), .read = (read_), .offset = offsetof(type, place), __VA_ARGS__             \
    }

size_t path_push(struct job_path *path, const char *format, ...) PRINTF_LIKE(2, 3);
void path_pop(struct job_path *path, size_t size);
/* "PATH: FORMAT", E_USAGE. */
enum status refuse(const struct job_path *path, struct error *e, const char *format, ...)
    PRINTF_LIKE(3, 4);

enum status read_fields(const struct cJSON *object, const struct fields *fields, void *at,
                        struct job_path *path, struct error *e);

/* Readers. Places: const char * for texts, uint64_t for numbers, int-sized enums for choices. */
enum status read_text(const struct cJSON *value, const struct member *member, void *at,
                      struct job_path *path, struct error *e);
enum status read_url(const struct cJSON *value, const struct member *member, void *at,
                     struct job_path *path, struct error *e); /* https, or http to a local host */
enum status read_any_url(const struct cJSON *value, const struct member *member, void *at,
                         struct job_path *path, struct error *e); /* http to any host, too */
enum status read_number(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e); /* more: struct range */
enum status read_choice(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e); /* more: struct choice[] */
enum status read_object(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e); /* more: struct fields */
/* A list of objects at a pointer that is followed by its size_t count; more: struct fields. */
enum status read_list(const struct cJSON *value, const struct member *member, void *at,
                      struct job_path *path, struct error *e);
enum status read_texts(const struct cJSON *value, const struct member *member, void *at,
                       struct job_path *path, struct error *e);
enum status read_digest(const struct cJSON *value, const struct member *member, void *at,
                        struct job_path *path, struct error *e);

/* What no single member can tell: which need which, which exclude which. */
enum status job_check(const struct job *job, struct error *e);

#endif
