#include "commands/console.hpp"
