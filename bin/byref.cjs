#!/usr/bin/env node
'use strict';
require('./bundle.cjs').run('cli/main.cjs');
