/* telemetry_private: what the files of core/telemetry share. */
#pragma once
#include "core/telemetry/telemetry.h"

struct telemetry {
    const struct config *config;
    char host[256];
    bool host_in_names;  /* of gauges: with two or more sinks, unless it is switched off */
    struct sinks *sinks; /* NULL: none */
    /* control thread */
    char cluster[256]; /* the last one that was known */
    uint64_t encryptions;
    uint32_t term;
    unsigned ticks;
};

/* telemetry_text.c: what /proc says; all 0 when it says nothing */
struct process {
    double cpu_s, resident_bytes, virtual_bytes, threads;
};
struct process telemetry_process(void);

/* sink.c */
struct sinks *sinks_new(const struct telemetry *t); /* NULL: none is configured */
void sinks_free(struct sinks *s);
