// SPDX-License-Identifier: Apache-2.0
/**
 * For use by blocksparse only; anything here may change. {@link org.blocksparse.internal.Access}
 * hands the private parts of public types to other packages of the module; checks and leases that
 * all packages share are beside it.
 */
package org.blocksparse.internal;
