'use strict';
require('./bundle.cjs').run('driver/process/main.cjs');
