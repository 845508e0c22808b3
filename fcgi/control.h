/* control: what signals ask for: the end, reading the settings again, the counters. */
#ifndef FCGI_CONTROL_H
#define FCGI_CONTROL_H

#include "fcgi/state.h"

void control(struct server *s);

#endif
