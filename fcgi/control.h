/* control: what signals ask for: the end, the settings anew, the counters. */
#ifndef FCGI_CONTROL_H
#define FCGI_CONTROL_H

#include "fcgi/state.h"

void control(struct server *s);

#endif
