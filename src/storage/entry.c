/*
 * One entry of a listing: the checks of its single values, and whether it stands for a blob at all.
 *
 * The values are hostile. A name has to lie below the prefix that was asked for; sizes and ETags
 * have to have their form; directory markers, in all the ways that Azure's tools make them, are
 * left out.
 */
#include <string.h>

#include "storage/internal.h"

void entry_free(struct entry *entry)
{
    blob_free(&entry->blob);
    *entry = (struct entry){0};
}

static enum status text_keep(struct span text, char **out, struct error *e)
{
    if (text.size == 0)
        return OK;
    *out = span_dup(text);
    return *out == NULL ? fail(e, E_BUG, "no memory") : OK;
}

/* Names that XML cannot carry come escaped, and only those that say so may be decoded. */
static enum status name_set(struct entry *entry, struct span name, bool is_encoded,
                            const char *prefix, struct error *e)
{
    AUTO(buf_free) struct buf decoded = BUF(FIELD_BYTES_MAX);
    if (is_encoded) {
        if (percent_decode(name, &decoded, E_NETWORK, e) != OK)
            return fail(e, E_NETWORK, "a name with a broken escape");
        name = buf_span(&decoded);
    }
    if (name.size == 0 || name.size > NAME_BYTES_MAX || !utf8_is_valid(name))
        return fail(e, E_NETWORK, "an impossible name");
    if (!span_starts(name, prefix))
        return fail(e, E_NETWORK, "a name outside the prefix");
    return text_keep(name, &entry->blob.name, e);
}

enum status entry_set(struct entry *entry, enum entry_field field, struct span text,
                      bool is_encoded, const char *prefix, struct error *e)
{
    struct span trimmed = span_trim(text);
    if ((entry->seen & 1U << field) != 0)
        return fail(e, E_NETWORK, "a field twice in one entry");
    entry->seen |= 1U << field;
    switch (field) {
    case FIELD_NAME:
        return name_set(entry, text, is_encoded, prefix, e);
    case FIELD_SNAPSHOT:
        entry->is_past = entry->is_past || trimmed.size > 0;
        return OK;
    case FIELD_DELETED:
        entry->is_past = entry->is_past || span_is_nocase(trimmed, "true");
        return OK;
    case FIELD_CURRENT:
        entry->is_past = entry->is_past || span_is_nocase(trimmed, "false");
        return OK;
    case FIELD_SIZE:
        return decimal_parse(trimmed, &entry->blob.size) ? OK
                                                         : fail(e, E_NETWORK, "an impossible size");
    case FIELD_ETAG:
        return etag_parse(trimmed, entry->blob.etag) ? OK
                                                     : fail(e, E_NETWORK, "an impossible ETag");
    case FIELD_RESOURCE_TYPE:
        entry->is_folder = entry->is_folder || span_is_nocase(trimmed, "directory");
        return OK;
    case FIELD_IS_FOLDER:
        entry->is_folder = entry->is_folder || span_is_nocase(trimmed, "true");
        return OK;
    case FIELD_ENCRYPTION:
        return text_keep(trimmed, &entry->blob.encryption_data, e);
    }
    return fail(e, E_BUG, "storage: field %d", (int)field);
}

enum status entry_judge(const struct entry *entry, bool *is_wanted, struct error *e)
{
    const uint32_t needed = 1U << FIELD_SIZE | 1U << FIELD_ETAG;
    *is_wanted = false;
    if (entry->is_past)
        return OK;
    if (entry->blob.name == NULL)
        return fail(e, E_NETWORK, "an entry without a name");
    if (entry->is_folder)
        return OK;
    if ((entry->seen & needed) != needed)
        return fail(e, E_NETWORK, "an entry without a size or an ETag");
    bool is_marker = entry->blob.size == 0 && entry->blob.name[strlen(entry->blob.name) - 1] == '/';
    *is_wanted = !is_marker;
    return OK;
}
