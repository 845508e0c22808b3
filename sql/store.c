#include "sql/store.h"
