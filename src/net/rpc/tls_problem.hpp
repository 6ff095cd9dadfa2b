// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

struct x509_st;

namespace dpfs::rpc {

// What an operator is told: one line, what is wrong and what to do.

/// `certificate` was not accepted as one of server `name`; nullptr: there was none.
std::string certificate_problem(long verdict, std::string_view name, x509_st* certificate);

/// The library gave `error`, and the session has ended.
std::string session_problem(unsigned long error);

}  // namespace dpfs::rpc
