import { declareUnwritten } from './unwritten.ts';

declareUnwritten('no passthrough');
