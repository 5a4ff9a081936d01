import { declareUnwritten } from './unwritten.ts';

declareUnwritten('passthrough');
