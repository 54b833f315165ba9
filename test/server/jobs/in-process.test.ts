import { inProcessJobs } from '../../../src/server/jobs/in-process.ts';
import { foldJobsConformance } from '../../conformance/fold-jobs.ts';

foldJobsConformance({ name: 'in process', open: (onError) => inProcessJobs({ retryAfterMs: 100, onError }) });
