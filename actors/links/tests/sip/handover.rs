//! Partners change: transfers, consultations; and the process that controls a call.
